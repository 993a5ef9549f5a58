-- Rooms that LiveKit's server API makes: what it was told of them, and until when one that nobody joined is listed.

ALTER TABLE livekit_rooms
    ADD COLUMN empty_timeout integer NOT NULL DEFAULT 300,
    ADD COLUMN departure_timeout integer NOT NULL DEFAULT 20,
    ADD COLUMN max_participants integer NOT NULL DEFAULT 0,
    ADD COLUMN kept_until timestamptz;
CREATE INDEX livekit_rooms_kept ON livekit_rooms (kept_until) WHERE kept_until IS NOT NULL;
