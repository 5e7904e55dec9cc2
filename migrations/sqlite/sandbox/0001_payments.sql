-- The sandbox gateway's books: one account per payment. due_at is when the gateway itself does something next.
CREATE TABLE IF NOT EXISTS sandbox_payments (
    id TEXT NOT NULL PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    request_hash TEXT NOT NULL,
    reference TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    title TEXT NOT NULL,
    locale TEXT,
    return_url TEXT,
    state TEXT NOT NULL,
    refunded_minor INTEGER NOT NULL,
    pay_until TEXT NOT NULL,
    hold_ends_at TEXT NOT NULL,
    due_at TEXT,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sandbox_payments_due ON sandbox_payments (due_at) WHERE due_at IS NOT NULL;
