-- Each opens one event stream for its session.
CREATE TABLE stream_tickets (
    ticket_hash BYTEA  PRIMARY KEY, -- SHA-256 of the ticket
    session_id  BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at  BIGINT NOT NULL
);

CREATE INDEX stream_tickets_by_session ON stream_tickets (session_id, expires_at);
CREATE INDEX stream_tickets_by_expiry ON stream_tickets (expires_at);
