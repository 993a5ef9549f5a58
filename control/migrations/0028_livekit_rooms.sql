-- Rooms of LiveKit's clients, by the names that their access tokens give them; and their identities among participants.

CREATE TABLE livekit_rooms (
    name text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE
);
CREATE INDEX livekit_rooms_meeting ON livekit_rooms (meeting_id);

ALTER TABLE meeting_participants ADD COLUMN identity text;
CREATE UNIQUE INDEX meeting_participants_identity ON meeting_participants (meeting_id, identity)
    WHERE identity IS NOT NULL;
