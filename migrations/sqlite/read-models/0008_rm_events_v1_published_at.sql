CREATE INDEX rm_events_v1_published_at ON rm_events_v1 (status, published_at, event_id, over_at)
