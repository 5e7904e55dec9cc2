-- The domain event with which a projection stopped for one show or booking, because it could not be read. The others go on.
CREATE TABLE IF NOT EXISTS projection_set_aside (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version INT NOT NULL,
    subject BINARY(16) NOT NULL,
    shard INT NOT NULL,
    position BIGINT NOT NULL,
    event_type VARCHAR(64) NOT NULL,
    event_version INT NOT NULL,
    error TEXT NOT NULL,
    recorded_at DATETIME(6) NOT NULL,
    PRIMARY KEY (name, version, subject)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
