CREATE TRIGGER IF NOT EXISTS events_are_never_deleted BEFORE DELETE ON events FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'domain events are immutable'
