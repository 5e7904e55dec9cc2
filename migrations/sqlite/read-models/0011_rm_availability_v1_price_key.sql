CREATE INDEX rm_availability_v1_price_key ON rm_availability_v1 (price_key, event_id)
