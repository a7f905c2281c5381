-- Random bits that change when the database was restored from a backup: a mailbox then uses numbers once more, and refuses
-- cursors of another incarnation. The default is random for each existing row; later the server chooses.
ALTER TABLE mailboxes ADD COLUMN incarnation BIGINT NOT NULL DEFAULT hashtextextended(gen_random_uuid()::text, 0);
ALTER TABLE mailboxes ALTER COLUMN incarnation DROP DEFAULT;
