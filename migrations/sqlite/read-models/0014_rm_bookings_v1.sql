-- A booking as folded (document). Whose it is stands in it sealed.
CREATE TABLE rm_bookings_v1 (
    booking_id BLOB NOT NULL PRIMARY KEY,
    event_id BLOB NOT NULL,
    status TEXT NOT NULL,
    document TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT
