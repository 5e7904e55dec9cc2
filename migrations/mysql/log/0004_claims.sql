-- What is taken by whom, one row a resource. A unique resource that nobody has has no row; a quota's row has what is used and
-- the limit. VARBINARY: identifiers from outside compare byte for byte, blanks at the end included.
CREATE TABLE IF NOT EXISTS claims (
    shard    INT NOT NULL,
    resource VARBINARY(255) NOT NULL PRIMARY KEY,
    holder   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    used     BIGINT NOT NULL,
    max_used BIGINT NOT NULL,
    fence    BIGINT NOT NULL
) ENGINE = InnoDB
