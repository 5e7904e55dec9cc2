CREATE TABLE IF NOT EXISTS snapshots (
    stream_type VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    stream_id   CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sequence    BIGINT NOT NULL,
    position    BIGINT NOT NULL,
    format      INT NOT NULL,
    state       LONGBLOB NOT NULL,
    PRIMARY KEY (stream_type, stream_id)
) ENGINE = InnoDB
