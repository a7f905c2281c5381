CREATE TABLE mailboxes (
    device_id     BIGINT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    last_sequence BIGINT NOT NULL, -- of the newest envelope ever; 0 where there was none
    acknowledged  BIGINT NOT NULL, -- all up to this sequence number is safely processed
    not_before    BIGINT NOT NULL, -- no envelope will be stamped before this moment any more
    closed_at     BIGINT NOT NULL  -- when that was last raised for a reader
) WITH (fillfactor = 50);          -- updated with each delivery: room for the new version on the same page

CREATE TABLE messages (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given out again
    sender    TEXT   NOT NULL,     -- usernames as registered; a message outlives its sender
    recipient TEXT   NOT NULL,
    contents  BYTEA  NOT NULL,
    sent_at   BIGINT NOT NULL,
    copies    BIGINT NOT NULL      -- envelopes that hold it; the last one takes it along
);

CREATE TABLE envelopes (
    device_id  BIGINT NOT NULL REFERENCES mailboxes (device_id) ON DELETE CASCADE,
    sequence   BIGINT NOT NULL,
    message_id BIGINT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    PRIMARY KEY (device_id, sequence)
);

CREATE INDEX envelopes_by_message ON envelopes (message_id);
