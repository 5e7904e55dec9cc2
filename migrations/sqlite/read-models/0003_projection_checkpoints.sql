-- Up to which position of a shard's log a version of a projection is complete. Moved by compare-and-set in the transaction of the rows.
CREATE TABLE projection_checkpoints (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name, version, shard)
) STRICT, WITHOUT ROWID
