-- What gateways told us, each once, by the gateway's own key. A row exists only where the signature held over the raw bytes, so
-- nobody can occupy the key of a true one. next_attempt_at is also the lease: whoever works on a row moves it forward first.
CREATE TABLE IF NOT EXISTS webhook_inbox (
    id BIGINT NOT NULL AUTO_INCREMENT,
    gateway VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event_key VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    booking_id BINARY(16) NOT NULL,
    payment_id BINARY(16) NOT NULL,
    received_at DATETIME(6) NOT NULL,
    headers TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    raw_body MEDIUMBLOB NOT NULL,
    verified BOOLEAN NOT NULL,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempts INT NOT NULL,
    next_attempt_at DATETIME(6) NULL,
    settled_at DATETIME(6) NULL,
    outcome VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    PRIMARY KEY (id),
    UNIQUE KEY webhook_inbox_event (gateway, event_key),
    KEY webhook_inbox_due (next_attempt_at)
) ENGINE=InnoDB
