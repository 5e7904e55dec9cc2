INSERT INTO projections (name, active_version) VALUES ('reports', 1)
