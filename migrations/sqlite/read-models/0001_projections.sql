-- Which version of each projection answers.
CREATE TABLE projections (
    name TEXT NOT NULL PRIMARY KEY,
    active_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID
