-- One row for each seat that is not free: H held, B booked, X blocked. The index is the seat's place in plan order.
CREATE TABLE rm_seats_v1 (
    event_id BLOB NOT NULL,
    seat_index INTEGER NOT NULL,
    seat_id TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (event_id, seat_index)
) STRICT, WITHOUT ROWID
