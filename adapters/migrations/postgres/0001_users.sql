-- Times are microseconds since the Unix epoch. Opaque texts are BYTEA: they come out byte for byte, NULs included.

CREATE TABLE users (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given out again
    username      TEXT   NOT NULL,                    -- as registered
    username_key  TEXT   COLLATE "C" NOT NULL UNIQUE, -- in lower case
    password_hash TEXT   NOT NULL,                    -- PHC string
    public_key    BYTEA  NOT NULL,
    private_key   BYTEA,
    info          BYTEA  NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE devices (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given out again
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);

CREATE INDEX devices_by_user ON devices (user_id, id);
