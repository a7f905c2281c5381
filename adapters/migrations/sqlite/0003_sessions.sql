-- Counts the changes of the key and the vault.
ALTER TABLE users ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- Names of deleted users, which are not given out again.
CREATE TABLE retired_usernames (
    digest BLOB PRIMARY KEY -- SHA-256 of the name in lower case
) STRICT, WITHOUT ROWID;

ALTER TABLE devices ADD COLUMN name BLOB NOT NULL DEFAULT x'';

CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given out again
    device_id  INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    token_hash BLOB    NOT NULL UNIQUE,            -- SHA-256 of the token
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_device ON sessions (device_id, id);
