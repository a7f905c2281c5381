-- The first of the newest numbers of a mailbox that all met a full mailbox; 0 if the newest number did not.
ALTER TABLE mailboxes ADD COLUMN refused_from INTEGER NOT NULL DEFAULT 0;

UPDATE mailboxes SET refused_from = coalesce(
    (SELECT first_sequence FROM gaps g
     WHERE g.device_id = mailboxes.device_id AND g.last_sequence = mailboxes.last_sequence), 0);
