-- LiveKit's Egress API can order images and the sound of a track, and outputs that show only some tracks.
ALTER TABLE broadcast_outputs
    DROP CONSTRAINT broadcast_outputs_kind_check,
    ADD CONSTRAINT broadcast_outputs_kind_check CHECK (kind IN ('rtmp', 'hls', 'srt', 'images', 'websocket')),
    ADD COLUMN shows jsonb;
ALTER TABLE livekit_streams
    DROP CONSTRAINT livekit_streams_kind_check,
    ADD CONSTRAINT livekit_streams_kind_check CHECK (kind IN ('rtmp', 'hls', 'srt', 'images', 'websocket')),
    ADD COLUMN images integer NOT NULL DEFAULT 0;
