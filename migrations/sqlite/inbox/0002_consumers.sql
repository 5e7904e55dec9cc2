-- How far those who act on the log (mails, not projections) have come, and which process acts now.
CREATE TABLE IF NOT EXISTS consumers (
    name TEXT NOT NULL,
    shard INTEGER NOT NULL,
    position INTEGER NOT NULL,
    lease_holder BLOB,
    lease_until TEXT,
    PRIMARY KEY (name, shard)
) STRICT, WITHOUT ROWID;
