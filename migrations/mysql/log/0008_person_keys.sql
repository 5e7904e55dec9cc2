CREATE TABLE IF NOT EXISTS person_keys (
    lookup    BINARY(32) NOT NULL PRIMARY KEY,
    person_id BINARY(16) NOT NULL,
    wrapped   VARBINARY(128) NOT NULL,
    UNIQUE KEY person_keys_person (person_id)
) ENGINE = InnoDB
