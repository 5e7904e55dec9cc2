-- How far an announcement to a show's bookings has come: the last one that was told, in the order of their ids.
CREATE TABLE IF NOT EXISTS announcements (
    shard INT NOT NULL,
    position BIGINT NOT NULL,
    told BINARY(16) NOT NULL,
    PRIMARY KEY (shard, position)
) ENGINE=InnoDB
