-- A show as folded (document), and what lists are filtered and sorted by. Instants are microseconds since 1970.
CREATE TABLE rm_events_v1 (
    event_id BLOB NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    category TEXT NOT NULL,
    city_key TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    over_at INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    latitude REAL,
    unit_x REAL,
    unit_y REAL,
    unit_z REAL,
    currency TEXT NOT NULL,
    price_min INTEGER,
    title_text TEXT NOT NULL,
    search_text TEXT NOT NULL,
    document TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT
