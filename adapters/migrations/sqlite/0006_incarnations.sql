-- Random bits that change when the database was restored from a backup: a mailbox then uses numbers once more, and refuses
-- cursors of another incarnation. SQLite can't add a column whose default is random.
ALTER TABLE mailboxes ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
UPDATE mailboxes SET incarnation = random();
