-- The document that a meeting's participants write and draw in: updates of a CRDT, opaque to the server.

CREATE TABLE document_updates (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    data bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX document_updates_meeting ON document_updates (meeting_id, id);
