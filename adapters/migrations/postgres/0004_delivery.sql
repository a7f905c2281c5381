-- What pending envelopes a mailbox has, so that a quota costs no counting.
ALTER TABLE mailboxes ADD COLUMN pending BIGINT NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN bytes   BIGINT NOT NULL DEFAULT 0;
-- The first of the numbers at the end that all met a full mailbox; 0 where the newest did not.
ALTER TABLE mailboxes ADD COLUMN refused_from BIGINT NOT NULL DEFAULT 0;

-- What one send brings to several recipients has one `send_id`: a number that is no other message's identifier.
ALTER TABLE messages ADD COLUMN send_id       BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN sender_device BIGINT; -- none where it was sent before this was kept
UPDATE messages SET send_id = id;

-- An envelope has no foreign keys: each way out of a mailbox releases the message by its count of copies, and what a
-- deleted device had goes in steps.
ALTER TABLE envelopes DROP CONSTRAINT envelopes_device_id_fkey;
ALTER TABLE envelopes DROP CONSTRAINT envelopes_message_id_fkey;
DROP INDEX envelopes_by_message;
ALTER TABLE envelopes ADD COLUMN size       BIGINT NOT NULL DEFAULT 0; -- bytes of contents
ALTER TABLE envelopes ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;

-- Thirty days for what was sent before it was said how long.
UPDATE envelopes SET size = length(m.contents), expires_at = m.sent_at + 2592000000000
FROM messages m WHERE m.id = envelopes.message_id;

-- A server of the version before that still runs does not know of these: its sends fail, instead of expiring at once.
ALTER TABLE envelopes ALTER COLUMN size DROP DEFAULT, ALTER COLUMN expires_at DROP DEFAULT;

CREATE INDEX envelopes_by_expiry ON envelopes (expires_at);

UPDATE mailboxes SET pending = e.pending, bytes = e.bytes
FROM (SELECT device_id, count(*) AS pending, sum(size) AS bytes FROM envelopes GROUP BY device_id) e
WHERE e.device_id = mailboxes.device_id;

-- Sequence numbers that met a full mailbox. Those that expired are missing from the envelopes, and here as well.
CREATE TABLE gaps (
    device_id      BIGINT NOT NULL REFERENCES mailboxes (device_id) ON DELETE CASCADE,
    first_sequence BIGINT NOT NULL,
    last_sequence  BIGINT NOT NULL,
    PRIMARY KEY (device_id, first_sequence)
);

-- Sends that happen once.
CREATE TABLE idempotency_keys (
    device_id   BIGINT NOT NULL,             -- the sender's
    key         TEXT   COLLATE "C" NOT NULL,
    fingerprint BYTEA  NOT NULL,             -- SHA-256 of what was asked for
    send_id     BIGINT NOT NULL,
    sent_at     BIGINT NOT NULL,
    undelivered TEXT   NOT NULL,             -- the devices whose mailboxes were full, as 12:alice,15:bob
    PRIMARY KEY (device_id, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (sent_at);

-- Deleted devices that have envelopes left.
CREATE TABLE purges (
    device_id BIGINT PRIMARY KEY
);
