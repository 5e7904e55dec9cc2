CREATE TABLE IF NOT EXISTS log_head (
    shard       INT NOT NULL PRIMARY KEY,
    position    BIGINT NOT NULL,
    recorded_at DATETIME(6) NOT NULL
) ENGINE = InnoDB
