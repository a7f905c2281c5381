-- What pending envelopes a mailbox has, so that a quota costs no counting.
ALTER TABLE mailboxes ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN bytes   INTEGER NOT NULL DEFAULT 0;

-- What one send brings to several recipients has one `send_id`: the identifier of the first of its messages.
ALTER TABLE messages ADD COLUMN send_id       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN sender_device INTEGER; -- none where it was sent before this was kept
UPDATE messages SET send_id = id;

-- An envelope has no foreign keys: each way out of a mailbox releases the message by its count of copies, and what a
-- deleted device had goes in steps.
CREATE TABLE envelopes_with_expiry (
    device_id  INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    size       INTEGER NOT NULL, -- bytes of contents
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (device_id, sequence)
) STRICT, WITHOUT ROWID;

-- Thirty days for what was sent before it was said how long.
INSERT INTO envelopes_with_expiry (device_id, sequence, message_id, size, expires_at)
SELECT e.device_id, e.sequence, e.message_id, length(m.contents), m.sent_at + 2592000000000
FROM envelopes e JOIN messages m ON m.id = e.message_id;

DROP TABLE envelopes;
ALTER TABLE envelopes_with_expiry RENAME TO envelopes;
CREATE INDEX envelopes_by_expiry ON envelopes (expires_at);

UPDATE mailboxes SET pending = e.pending, bytes = e.bytes
FROM (SELECT device_id, count(*) AS pending, sum(size) AS bytes FROM envelopes GROUP BY device_id) e
WHERE e.device_id = mailboxes.device_id;

-- Sequence numbers that met a full mailbox. Those that expired are missing from the envelopes, and here as well.
CREATE TABLE gaps (
    device_id      INTEGER NOT NULL REFERENCES mailboxes (device_id) ON DELETE CASCADE,
    first_sequence INTEGER NOT NULL,
    last_sequence  INTEGER NOT NULL,
    PRIMARY KEY (device_id, first_sequence)
) STRICT, WITHOUT ROWID;

-- Sends that happen once.
CREATE TABLE idempotency_keys (
    device_id   INTEGER NOT NULL,  -- the sender's
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,  -- SHA-256 of what was asked for
    send_id     INTEGER NOT NULL,
    sent_at     INTEGER NOT NULL,
    undelivered TEXT    NOT NULL,  -- the devices whose mailboxes were full, as 12:alice,15:bob
    PRIMARY KEY (device_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (sent_at);

-- Deleted devices that have envelopes left.
CREATE TABLE purges (
    device_id INTEGER PRIMARY KEY
) STRICT;
