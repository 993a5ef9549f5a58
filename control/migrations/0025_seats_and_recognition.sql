-- Seats that are held for who is not in the room yet, or was cut off; and what tells a person again whose account is
-- unknown: keyed hashes of the browser's key and of the address that it joined from last.

ALTER TABLE meeting_participants
    ADD COLUMN seat_until timestamptz,
    ADD COLUMN browser_mark bytea,
    ADD COLUMN network_mark bytea;
CREATE INDEX meeting_participants_removed ON meeting_participants (meeting_id) WHERE removed_at IS NOT NULL;
