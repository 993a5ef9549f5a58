-- Web pages that LiveKit's Egress API records: each is a stream, in a meeting of its own, that ingress opens in a browser.

-- How the page is shown (sfu.api.ingress.PageView).
ALTER TABLE stream_keys ADD COLUMN page jsonb;

-- `page` is the stream of the page that an egress shows. `page_order` is its sealed request until the page has started:
-- until then, it has neither a recording nor a broadcast.
ALTER TABLE livekit_egresses
    DROP CONSTRAINT livekit_egresses_kind_check,
    ADD CONSTRAINT livekit_egresses_kind_check
        CHECK (kind IN ('room_composite', 'participant', 'track_composite', 'track', 'web')),
    DROP CONSTRAINT livekit_egresses_check,
    ADD COLUMN page text NOT NULL DEFAULT '',
    ADD COLUMN page_order text NOT NULL DEFAULT '',
    ADD CONSTRAINT livekit_egresses_check CHECK (recording_id IS NOT NULL OR broadcast_id IS NOT NULL OR page <> '');
CREATE INDEX livekit_egresses_page ON livekit_egresses (page) WHERE page <> '';

-- A page waits for nobody, and is open until its meeting ends.
CREATE OR REPLACE VIEW readable_streams AS SELECT k.* FROM stream_keys k
    WHERE k.source_url <> '' AND k.source_ended_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    AND CASE WHEN k.page IS NULL
        THEN EXISTS (SELECT FROM meeting_participants p WHERE p.meeting_id = k.meeting_id AND p.present
            AND p.stream_key_id IS NULL)
        ELSE EXISTS (SELECT FROM meetings m WHERE m.id = k.meeting_id AND m.status <> 'ended') END;
