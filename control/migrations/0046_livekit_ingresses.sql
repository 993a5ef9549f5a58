-- Ingresses of LiveKit's server API: a stream key with what the API lists in addition. Its secret is sealed.

CREATE TABLE livekit_ingresses (
    id text PRIMARY KEY REFERENCES stream_keys ON DELETE CASCADE,
    room text NOT NULL,
    identity text NOT NULL,
    metadata text NOT NULL,
    request bytea NOT NULL,
    secret text NOT NULL
);
CREATE INDEX livekit_ingresses_room ON livekit_ingresses (room);
