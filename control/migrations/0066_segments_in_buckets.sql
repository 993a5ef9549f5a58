-- Segments of LiveKit's Egress API can go to a bucket of the application: the keys of their playlists there.
ALTER TABLE livekit_streams
    ADD COLUMN playlist text NOT NULL DEFAULT '',
    ADD COLUMN live_playlist text NOT NULL DEFAULT '';
