-- Links that open one file without signing in: listed, and taken back. Their signatures name these rows.

CREATE TABLE signed_links (
    id text PRIMARY KEY,
    media_id text REFERENCES media_files ON DELETE CASCADE,
    recording_id text REFERENCES meeting_recordings ON DELETE CASCADE,
    -- of a recording: which of its files
    name text,
    -- null: a guest
    created_by text REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CHECK ((media_id IS NULL) = (recording_id IS NOT NULL)),
    CHECK ((recording_id IS NULL) = (name IS NULL))
);
CREATE INDEX signed_links_media ON signed_links (media_id, created_at) WHERE media_id IS NOT NULL;
CREATE INDEX signed_links_recording ON signed_links (recording_id, created_at) WHERE recording_id IS NOT NULL;
CREATE INDEX signed_links_expiry ON signed_links (expires_at);
