-- The time at which a server last trusted its clock, in at most one row.
CREATE TABLE clock (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    trusted_at INTEGER NOT NULL
) STRICT;
