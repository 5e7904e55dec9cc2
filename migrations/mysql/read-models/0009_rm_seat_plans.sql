-- Seating plans as they are served, named by the SHA-256 of their bytes. The same in every version of every projection.
CREATE TABLE IF NOT EXISTS rm_seat_plans (
    hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    packed LONGBLOB NOT NULL,
    PRIMARY KEY (hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
