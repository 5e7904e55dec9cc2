-- The sandbox gateway's books: one account per payment. due_at is when the gateway itself does something next.
CREATE TABLE IF NOT EXISTS sandbox_payments (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idempotency_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reference VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    title VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    locale VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    return_url VARCHAR(4096) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    refunded_minor BIGINT NOT NULL,
    pay_until DATETIME(6) NOT NULL,
    hold_ends_at DATETIME(6) NOT NULL,
    due_at DATETIME(6) NULL,
    created_at DATETIME(6) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY sandbox_payments_key (idempotency_key),
    KEY sandbox_payments_due (due_at)
) ENGINE=InnoDB
