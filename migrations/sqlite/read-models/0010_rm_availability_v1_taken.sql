CREATE INDEX rm_availability_v1_taken ON rm_availability_v1 (taken, event_id)
