-- LiveKit's Egress API can order streams to SRT listeners.
ALTER TABLE livekit_streams DROP CONSTRAINT livekit_streams_kind_check;
ALTER TABLE livekit_streams ADD CONSTRAINT livekit_streams_kind_check CHECK (kind IN ('rtmp', 'hls', 'srt'));
