-- How far an announcement to a show's bookings has come: the last one that was told, in the order of their ids.
CREATE TABLE IF NOT EXISTS announcements (
    shard INTEGER NOT NULL,
    position INTEGER NOT NULL,
    told BLOB NOT NULL,
    PRIMARY KEY (shard, position)
) STRICT
