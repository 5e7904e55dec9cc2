-- What one booking sold of one ticket type, for reports. Line 0 of a booking carries what all of them are made of (document).
CREATE TABLE IF NOT EXISTS rm_reports_v1 (
    booking_id BINARY(16) NOT NULL,
    line BIGINT NOT NULL,
    event_id BINARY(16) NOT NULL,
    organizer_id BINARY(16) NOT NULL,
    ticket_type_id BINARY(16) NOT NULL,
    placed_at BIGINT NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sold BIGINT NOT NULL,
    tickets BIGINT NOT NULL,
    currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    received_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    document MEDIUMTEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (booking_id, line),
    KEY rm_reports_v1_organizer (organizer_id, event_id, placed_at),
    KEY rm_reports_v1_event (event_id, placed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
