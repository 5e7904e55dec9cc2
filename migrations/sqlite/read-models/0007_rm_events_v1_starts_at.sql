CREATE INDEX rm_events_v1_starts_at ON rm_events_v1 (status, starts_at, event_id, over_at)
