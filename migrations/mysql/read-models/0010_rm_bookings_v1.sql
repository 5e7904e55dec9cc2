-- A booking as folded (document). Whose it is stands in it sealed.
CREATE TABLE IF NOT EXISTS rm_bookings_v1 (
    booking_id BINARY(16) NOT NULL,
    event_id BINARY(16) NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    document MEDIUMTEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (booking_id),
    KEY rm_bookings_v1_event (event_id, booking_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
