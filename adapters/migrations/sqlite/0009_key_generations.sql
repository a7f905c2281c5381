-- The age of an idempotency key is counted in generations, not by `sent_at`, which a wrong clock makes too early. The table
-- `key_generation` holds the number of the current generation, in one row. Keys that are already stored count as stored now.
-- The constant default costs no rewrite of the table.
CREATE TABLE key_generation (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO key_generation (id, number) VALUES (1, 0);

ALTER TABLE idempotency_keys ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

DROP INDEX idempotency_keys_by_age;
CREATE INDEX idempotency_keys_by_generation ON idempotency_keys (generation);
