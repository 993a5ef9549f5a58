-- The second factor, and links that share a recording.

ALTER TABLE users
    ADD COLUMN totp_secret text,
    ADD COLUMN totp_confirmed boolean NOT NULL DEFAULT false,
    -- the last time step whose code was used: none counts twice
    ADD COLUMN totp_last_step bigint NOT NULL DEFAULT 0;

CREATE TABLE recovery_codes (
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE recording_links (
    id text PRIMARY KEY,
    recording_id text NOT NULL REFERENCES meeting_recordings ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    created_by text REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX recording_links_recording ON recording_links (recording_id);
