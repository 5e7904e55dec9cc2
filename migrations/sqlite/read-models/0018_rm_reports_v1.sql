-- What one booking sold of one ticket type, for reports. Line 0 of a booking carries what all of them are made of (document).
CREATE TABLE rm_reports_v1 (
    booking_id BLOB NOT NULL,
    line INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    organizer_id BLOB NOT NULL,
    ticket_type_id BLOB NOT NULL,
    placed_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    sold INTEGER NOT NULL,
    tickets INTEGER NOT NULL,
    currency TEXT NOT NULL,
    received_minor INTEGER NOT NULL,
    refunded_minor INTEGER NOT NULL,
    document TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (booking_id, line)
) STRICT
