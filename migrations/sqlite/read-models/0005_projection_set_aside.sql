-- The domain event with which a projection stopped for one show or booking, because it could not be read. The others go on.
CREATE TABLE projection_set_aside (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    subject BLOB NOT NULL,
    shard INTEGER NOT NULL,
    position INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    event_version INTEGER NOT NULL,
    error TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (name, version, subject)
) STRICT, WITHOUT ROWID
