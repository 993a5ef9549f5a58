-- Streams that come in through ingress: pushed by RTMP with a stream key, or read from a URL.

-- `source_url` (sealed) is the URL that is read, '' for a stream that is pushed. The ingress that has the stream, its
-- latest report, and whether the content of the URL has ended.
ALTER TABLE stream_keys
    ADD COLUMN source_url text NOT NULL DEFAULT '',
    ADD COLUMN ingress text NOT NULL DEFAULT '',
    ADD COLUMN report jsonb,
    ADD COLUMN reported_at timestamptz,
    ADD COLUMN source_ended_at timestamptz;
CREATE INDEX stream_keys_sources ON stream_keys (created_at) WHERE source_url <> '' AND source_ended_at IS NULL;

-- Streams whose URL is to be read now: somebody is there to see them.
CREATE VIEW readable_streams AS SELECT k.* FROM stream_keys k
    WHERE k.source_url <> '' AND k.source_ended_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    AND EXISTS (SELECT FROM meeting_participants p WHERE p.meeting_id = k.meeting_id AND p.present
        AND p.stream_key_id IS NULL);
