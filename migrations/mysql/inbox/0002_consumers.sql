-- How far those who act on the log (mails, not projections) have come, and which process acts now.
CREATE TABLE IF NOT EXISTS consumers (
    name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    shard INT NOT NULL,
    position BIGINT NOT NULL,
    lease_holder BINARY(16) NULL,
    lease_until DATETIME(6) NULL,
    PRIMARY KEY (name, shard)
) ENGINE=InnoDB
