-- Broadcasts can be sent to SRT listeners.
ALTER TABLE broadcast_outputs DROP CONSTRAINT broadcast_outputs_kind_check;
ALTER TABLE broadcast_outputs ADD CONSTRAINT broadcast_outputs_kind_check CHECK (kind IN ('rtmp', 'hls', 'srt'));
