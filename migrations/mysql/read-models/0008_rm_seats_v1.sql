-- One row for each seat that is not free: H held, B booked, X blocked. The index is the seat's place in plan order.
CREATE TABLE IF NOT EXISTS rm_seats_v1 (
    event_id BINARY(16) NOT NULL,
    seat_index INT NOT NULL,
    seat_id VARCHAR(255) NOT NULL,
    status CHAR(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (event_id, seat_index)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
