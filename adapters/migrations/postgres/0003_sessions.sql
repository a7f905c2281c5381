-- Counts the changes of the key and the vault.
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- Names of deleted users, which are not given out again.
CREATE TABLE retired_usernames (
    digest BYTEA PRIMARY KEY -- SHA-256 of the name in lower case
);

ALTER TABLE devices ADD COLUMN name BYTEA NOT NULL DEFAULT '';

CREATE TABLE sessions (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given out again
    device_id  BIGINT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    token_hash BYTEA  NOT NULL UNIQUE,                          -- SHA-256 of the token
    created_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_device ON sessions (device_id, id);
