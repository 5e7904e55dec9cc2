CREATE TABLE IF NOT EXISTS events (
    shard         INT NOT NULL,
    position      BIGINT NOT NULL,
    recorded_at   DATETIME(6) NOT NULL,
    organizer_id  CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    stream_type   VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    stream_id     CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sequence      BIGINT NOT NULL,
    event_type    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event_version INT NOT NULL,
    -- The bytes as they were written: a JSON column would rewrite them, and the leaf hash is over them.
    payload       LONGBLOB NOT NULL,
    metadata      BLOB NOT NULL,
    leaf_hash     BINARY(32) NOT NULL,
    show_id       CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    PRIMARY KEY (shard, position),
    UNIQUE KEY events_stream (stream_type, stream_id, sequence)
) ENGINE = InnoDB
