-- The highest version of a projection that was ever begun. Numbers are not used again: who still reads a version that was dropped
-- is to find nothing rather than half of another.
CREATE TABLE IF NOT EXISTS projection_numbers (
    name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    last_version INT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
