-- Egresses that go out live: streams to RTMP servers and HLS segments, which are outputs of the meeting's broadcast.

ALTER TABLE livekit_egresses
    ALTER COLUMN recording_id DROP NOT NULL,
    ADD COLUMN broadcast_id text REFERENCES broadcasts ON DELETE CASCADE,
    ADD CHECK ((recording_id IS NULL) <> (broadcast_id IS NULL));
CREATE INDEX livekit_egresses_broadcast ON livekit_egresses (broadcast_id) WHERE broadcast_id IS NOT NULL;

-- A stream's id is that of its output. `url` is the playlist's path, or the address with the stream key redacted.
CREATE TABLE livekit_streams (
    id text PRIMARY KEY,
    egress_id text NOT NULL REFERENCES livekit_egresses ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('rtmp', 'hls')),
    url text NOT NULL,
    was_live boolean NOT NULL DEFAULT false,
    has_failed boolean NOT NULL DEFAULT false,
    retries integer NOT NULL DEFAULT 0,
    retried_at timestamptz,
    error text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE INDEX livekit_streams_egress ON livekit_streams (egress_id);
