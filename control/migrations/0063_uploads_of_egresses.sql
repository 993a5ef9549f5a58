-- Files of LiveKit's Egress API can be uploaded to a bucket of the application. `upload` is sealed, and emptied at the end.
-- An egress can make a file, streams and images: it has a recording and a broadcast, and may have started either.
ALTER TABLE livekit_egresses
    DROP CONSTRAINT livekit_egresses_check,
    ADD CHECK (recording_id IS NOT NULL OR broadcast_id IS NOT NULL),
    ADD COLUMN owns_broadcast boolean NOT NULL DEFAULT false,
    ADD COLUMN upload text NOT NULL DEFAULT '',
    ADD COLUMN location text NOT NULL DEFAULT '';
