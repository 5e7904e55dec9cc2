CREATE TABLE IF NOT EXISTS timers (
    timer_id    BINARY(16) NOT NULL PRIMARY KEY,
    kind        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    stream_type VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    stream_id   CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject     BINARY(16) NOT NULL,
    due_at      DATETIME(6) NOT NULL,
    attempts    BIGINT NOT NULL,
    lease_token BINARY(16) NULL,
    lease_until DATETIME(6) NULL,
    KEY timers_due (due_at),
    KEY timers_subject (subject),
    KEY timers_lease (lease_token)
) ENGINE = InnoDB
