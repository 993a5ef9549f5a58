-- Broadcasts: a meeting's composed picture goes out live, to the outputs that its hosts added. Stream keys are sealed.

CREATE TABLE broadcast_outputs (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('rtmp', 'hls')),
    name text NOT NULL,
    url text NOT NULL DEFAULT '',
    stream_key text NOT NULL DEFAULT '',
    watch_key text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX broadcast_outputs_meeting ON broadcast_outputs (meeting_id);

CREATE TABLE broadcasts (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    options jsonb NOT NULL DEFAULT '{}',
    started_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    instance text NOT NULL DEFAULT '',
    placement bigint NOT NULL DEFAULT 0,
    report jsonb,
    reported_at timestamptz
);
CREATE INDEX broadcasts_meeting ON broadcasts (meeting_id, started_at);
CREATE UNIQUE INDEX broadcasts_running ON broadcasts (meeting_id) WHERE ended_at IS NULL;
