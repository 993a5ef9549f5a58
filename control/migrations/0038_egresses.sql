-- Egresses: an application's orders of files of a room, by LiveKit's API. Each gets a film of the recording that ran.

CREATE TABLE livekit_egresses (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    recording_id text NOT NULL REFERENCES meeting_recordings ON DELETE CASCADE,
    room text NOT NULL,
    request bytea NOT NULL,
    kind text NOT NULL CHECK (kind IN ('room_composite', 'participant', 'track_composite', 'track')),
    filepath text NOT NULL DEFAULT '',
    options jsonb NOT NULL,
    owns boolean NOT NULL,
    film text,
    error text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX livekit_egresses_recording ON livekit_egresses (recording_id);
CREATE INDEX livekit_egresses_room ON livekit_egresses (room, started_at DESC);
CREATE INDEX livekit_egresses_meeting ON livekit_egresses (meeting_id);
CREATE INDEX livekit_egresses_film ON livekit_egresses (film) WHERE film IS NOT NULL;
