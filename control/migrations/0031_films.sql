-- Further films of recordings, each in a layout and a format that somebody chose. The id is that of its job; `made` is
-- what came of it: file, bytes, sha256, duration_ms, storyboard, chapters.

CREATE TABLE recording_films (
    id text PRIMARY KEY,
    recording_id text NOT NULL REFERENCES meeting_recordings ON DELETE CASCADE,
    options jsonb NOT NULL,
    made jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recording_films_recording ON recording_films (recording_id, created_at DESC);
