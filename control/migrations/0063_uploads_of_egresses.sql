-- Files of LiveKit's Egress API can be uploaded to a bucket of the application. `upload` is sealed, and emptied at the end.
ALTER TABLE livekit_egresses
    ADD COLUMN upload text NOT NULL DEFAULT '',
    ADD COLUMN location text NOT NULL DEFAULT '';
