-- The version of a projection that is being built beside the one that answers. Gone when it is finished.
CREATE TABLE projection_builds (
    name TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT
