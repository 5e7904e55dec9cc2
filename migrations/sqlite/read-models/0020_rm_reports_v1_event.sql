CREATE INDEX rm_reports_v1_event ON rm_reports_v1 (event_id, placed_at)
