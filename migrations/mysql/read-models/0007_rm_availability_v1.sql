-- What changes with every booking: counters of what is taken, and what lists are filtered and sorted by.
CREATE TABLE IF NOT EXISTS rm_availability_v1 (
    event_id BINARY(16) NOT NULL,
    seat_version BIGINT NOT NULL,
    taken BIGINT NOT NULL,
    types_left INT NOT NULL,
    price_key VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    counters MEDIUMTEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (event_id),
    KEY rm_availability_v1_taken (taken, event_id),
    KEY rm_availability_v1_price_key (price_key, event_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
