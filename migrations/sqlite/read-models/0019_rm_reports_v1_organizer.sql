CREATE INDEX rm_reports_v1_organizer ON rm_reports_v1 (organizer_id, event_id, placed_at)
