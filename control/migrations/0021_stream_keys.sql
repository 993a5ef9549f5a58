-- Keys of encoders and players (WHIP, WHEP): of a meeting, for one role, until they are deleted or expire.

CREATE TABLE stream_keys (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('publish', 'watch')),
    -- SHA-256 of the secret
    key_hash bytea NOT NULL UNIQUE,
    created_by text REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX stream_keys_meeting ON stream_keys (meeting_id, created_at);
CREATE INDEX stream_keys_created_by ON stream_keys (created_by) WHERE created_by IS NOT NULL;

-- Who came by a key, and when it was let in last: a player that is gone gives its place to the next one.
ALTER TABLE meeting_participants
    ADD COLUMN stream_key_id text REFERENCES stream_keys ON DELETE SET NULL,
    ADD COLUMN key_used_at timestamptz;
CREATE INDEX meeting_participants_stream_key ON meeting_participants (stream_key_id)
    WHERE stream_key_id IS NOT NULL;
