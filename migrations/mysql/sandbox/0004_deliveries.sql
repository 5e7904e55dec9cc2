-- The sandbox gateway's webhooks: queue and journal in one. next_attempt_at is also the lease, NULL once delivered or given up.
CREATE TABLE IF NOT EXISTS sandbox_deliveries (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payment_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event_type VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body MEDIUMBLOB NOT NULL,
    created_at DATETIME(6) NOT NULL,
    attempts INT NOT NULL,
    next_attempt_at DATETIME(6) NULL,
    last_attempt_at DATETIME(6) NULL,
    last_answer VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    delivered_at DATETIME(6) NULL,
    PRIMARY KEY (id),
    KEY sandbox_deliveries_due (next_attempt_at),
    KEY sandbox_deliveries_payment (payment_id)
) ENGINE=InnoDB
