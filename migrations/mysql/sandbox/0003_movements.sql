-- Every movement of money at the sandbox gateway, written in the transaction that moves it, never changed. The balance of a payment
-- is the sum of its movements; sandbox_payments says the same in another way, and tickiz verify compares the two.
CREATE TABLE IF NOT EXISTS sandbox_movements (
    id BIGINT NOT NULL AUTO_INCREMENT,
    payment_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    amount_minor BIGINT NOT NULL,
    subject VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    moved_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY sandbox_movements_subject (kind, subject),
    KEY sandbox_movements_payment (payment_id)
) ENGINE=InnoDB
