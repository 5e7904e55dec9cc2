INSERT IGNORE INTO projection_checkpoints (name, version, shard, position) VALUES ('reports', 1, 0, 0)
