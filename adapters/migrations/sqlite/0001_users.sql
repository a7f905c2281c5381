-- Times are microseconds since the Unix epoch. Opaque texts are BLOBs: they come out byte for byte, NULs included.

PRAGMA application_id = 0x776f6f73; -- "woos": whose file this is

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out again
    username      TEXT    NOT NULL,                  -- as registered
    username_key  TEXT    NOT NULL UNIQUE,           -- in lower case
    password_hash TEXT    NOT NULL,                  -- PHC string
    public_key    BLOB    NOT NULL,
    private_key   BLOB,
    info          BLOB    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,    -- never given out again
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX devices_by_user ON devices (user_id, id);
