-- Which version of each projection answers.
CREATE TABLE IF NOT EXISTS projections (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    active_version INT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
