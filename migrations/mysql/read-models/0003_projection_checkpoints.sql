-- Up to which position of a shard's log a version of a projection is complete. Moved by compare-and-set in the transaction of the rows.
CREATE TABLE IF NOT EXISTS projection_checkpoints (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version INT NOT NULL,
    shard INT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (name, version, shard)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
