-- The highest version of a projection that was ever begun. Numbers are not used again: who still reads a version that was dropped
-- is to find nothing rather than half of another.
CREATE TABLE projection_numbers (
    name TEXT NOT NULL PRIMARY KEY,
    last_version INTEGER NOT NULL
) STRICT
