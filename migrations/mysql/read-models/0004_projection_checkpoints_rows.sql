INSERT IGNORE INTO projection_checkpoints (name, version, shard, position) VALUES ('events', 1, 0, 0), ('bookings', 1, 0, 0)
