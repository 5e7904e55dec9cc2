-- What gateways told us, each once, by the gateway's own key. A row exists only where the signature held over the raw bytes, so
-- nobody can occupy the key of a true one. next_attempt_at is also the lease: whoever works on a row moves it forward first.
CREATE TABLE IF NOT EXISTS webhook_inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    gateway TEXT NOT NULL,
    event_key TEXT NOT NULL,
    booking_id BLOB NOT NULL,
    payment_id BLOB NOT NULL,
    received_at TEXT NOT NULL,
    headers TEXT NOT NULL,
    raw_body BLOB NOT NULL,
    verified INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT,
    settled_at TEXT,
    outcome TEXT,
    UNIQUE (gateway, event_key)
) STRICT;
CREATE INDEX IF NOT EXISTS webhook_inbox_due ON webhook_inbox (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
