-- Every movement of money at the sandbox gateway, written in the transaction that moves it, never changed. The balance of a payment
-- is the sum of its movements; sandbox_payments says the same in another way, and tickiz verify compares the two.
CREATE TABLE IF NOT EXISTS sandbox_movements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    subject TEXT NOT NULL,
    moved_at TEXT NOT NULL,
    UNIQUE (kind, subject)
) STRICT;
CREATE INDEX IF NOT EXISTS sandbox_movements_payment ON sandbox_movements (payment_id);
