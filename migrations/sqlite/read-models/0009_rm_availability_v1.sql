-- What changes with every booking: counters of what is taken, and what lists are filtered and sorted by.
CREATE TABLE rm_availability_v1 (
    event_id BLOB NOT NULL PRIMARY KEY,
    seat_version INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    types_left INTEGER NOT NULL,
    price_key TEXT NOT NULL,
    counters TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT
