INSERT IGNORE INTO log_head (shard, position, recorded_at) VALUES (0, 0, '1970-01-01 00:00:00')
