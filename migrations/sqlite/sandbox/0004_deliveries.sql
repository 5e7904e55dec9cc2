-- The sandbox gateway's webhooks: queue and journal in one. next_attempt_at is also the lease, NULL once delivered or given up.
CREATE TABLE IF NOT EXISTS sandbox_deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT,
    last_attempt_at TEXT,
    last_answer TEXT,
    delivered_at TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS sandbox_deliveries_due ON sandbox_deliveries (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS sandbox_deliveries_payment ON sandbox_deliveries (payment_id);
