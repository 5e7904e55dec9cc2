CREATE INDEX rm_bookings_v1_event ON rm_bookings_v1 (event_id, booking_id)
