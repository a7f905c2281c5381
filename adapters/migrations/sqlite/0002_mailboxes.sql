CREATE TABLE mailboxes (
    device_id     INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    last_sequence INTEGER NOT NULL, -- of the newest envelope ever; 0 where there was none
    acknowledged  INTEGER NOT NULL, -- all up to this sequence number is safely processed
    not_before    INTEGER NOT NULL, -- no envelope will be stamped before this moment any more
    closed_at     INTEGER NOT NULL  -- when that was last raised for a reader
) STRICT;

CREATE TABLE messages (
    id        INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out again
    sender    TEXT    NOT NULL,     -- usernames as registered; a message outlives its sender
    recipient TEXT    NOT NULL,
    contents  BLOB    NOT NULL,
    sent_at   INTEGER NOT NULL,
    copies    INTEGER NOT NULL      -- envelopes that hold it; the last one takes it along
) STRICT;

CREATE TABLE envelopes (
    device_id  INTEGER NOT NULL REFERENCES mailboxes (device_id) ON DELETE CASCADE,
    sequence   INTEGER NOT NULL,
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    PRIMARY KEY (device_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX envelopes_by_message ON envelopes (message_id);
