-- The version of a projection that is being built beside the one that answers. Gone when it is finished.
CREATE TABLE IF NOT EXISTS projection_builds (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version INT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
