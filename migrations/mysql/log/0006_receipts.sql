CREATE TABLE IF NOT EXISTS receipts (
    scope           VARBINARY(200) NOT NULL,
    operation       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idempotency_key VARBINARY(800) NOT NULL,
    request_hash    BINARY(32) NOT NULL,
    first_position  BIGINT NOT NULL,
    last_position   BIGINT NOT NULL,
    result          BLOB NOT NULL,
    PRIMARY KEY (scope, operation, idempotency_key)
) ENGINE = InnoDB
