-- Seating plans as they are served, named by the SHA-256 of their bytes. The same in every version of every projection.
CREATE TABLE rm_seat_plans (
    hash TEXT NOT NULL PRIMARY KEY,
    packed BLOB NOT NULL
) STRICT
