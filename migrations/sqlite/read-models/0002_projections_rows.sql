INSERT INTO projections (name, active_version) VALUES ('events', 1), ('bookings', 1)
