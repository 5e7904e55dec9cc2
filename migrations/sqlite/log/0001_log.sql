CREATE TABLE IF NOT EXISTS events (
    shard         INTEGER NOT NULL,
    position      INTEGER NOT NULL,
    recorded_at   INTEGER NOT NULL, -- microseconds since 1970
    organizer_id  TEXT,
    stream_type   TEXT NOT NULL,
    stream_id     TEXT NOT NULL,
    sequence      INTEGER NOT NULL,
    event_type    TEXT NOT NULL,
    event_version INTEGER NOT NULL,
    payload       BLOB NOT NULL,
    metadata      BLOB NOT NULL,
    leaf_hash     BLOB NOT NULL,
    show_id       TEXT,
    PRIMARY KEY (shard, position),
    UNIQUE (stream_type, stream_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS events_are_never_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'domain events are immutable'); END;

CREATE TRIGGER IF NOT EXISTS events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'domain events are immutable'); END;

CREATE TABLE IF NOT EXISTS log_head (
    shard       INTEGER NOT NULL PRIMARY KEY,
    position    INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;

INSERT OR IGNORE INTO log_head (shard, position, recorded_at) VALUES (0, 0, 0);

-- What is taken by whom, one row a resource. A unique resource that nobody has has no row; a quota's row has what is used and
-- the limit.
CREATE TABLE IF NOT EXISTS claims (
    shard    INTEGER NOT NULL,
    resource TEXT NOT NULL PRIMARY KEY,
    holder   TEXT,
    used     INTEGER NOT NULL,
    max_used INTEGER NOT NULL,
    fence    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS timers (
    timer_id    BLOB NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    stream_type TEXT NOT NULL,
    stream_id   TEXT NOT NULL,
    subject     BLOB NOT NULL,
    due_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    lease_token BLOB,
    lease_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS timers_due ON timers (due_at);
CREATE INDEX IF NOT EXISTS timers_subject ON timers (subject);
CREATE INDEX IF NOT EXISTS timers_lease ON timers (lease_token);

CREATE TABLE IF NOT EXISTS receipts (
    scope           TEXT NOT NULL,
    operation       TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash    BLOB NOT NULL,
    first_position  INTEGER NOT NULL,
    last_position   INTEGER NOT NULL,
    result          BLOB NOT NULL,
    PRIMARY KEY (scope, operation, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS attachments (
    hash  BLOB NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS person_keys (
    lookup    BLOB NOT NULL PRIMARY KEY,
    person_id BLOB NOT NULL UNIQUE,
    wrapped   BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS keyring (
    name   TEXT NOT NULL PRIMARY KEY,
    secret BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS snapshots (
    stream_type TEXT NOT NULL,
    stream_id   TEXT NOT NULL,
    sequence    INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    format      INTEGER NOT NULL,
    state       BLOB NOT NULL,
    PRIMARY KEY (stream_type, stream_id)
) STRICT, WITHOUT ROWID;
