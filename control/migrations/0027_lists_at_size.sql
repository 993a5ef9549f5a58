-- Lists, searches and deletions that read no more than they show or delete, whatever the number of meetings.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Whose a recording is, beside when it began: the list of one person's is a walk of one index. Kept by triggers, so that
-- whoever writes meetings and recordings need not know.
ALTER TABLE meeting_recordings ADD COLUMN owner_id text;
UPDATE meeting_recordings r SET owner_id = m.host_id FROM meetings m WHERE m.id = r.meeting_id;
CREATE INDEX meeting_recordings_owner ON meeting_recordings (owner_id, started_at DESC);
CREATE INDEX meeting_recordings_running ON meeting_recordings (meeting_id) WHERE state = 'recording';
CREATE FUNCTION own_recording() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.owner_id := (SELECT host_id FROM meetings WHERE id = NEW.meeting_id); RETURN NEW; END';
CREATE TRIGGER meeting_recordings_own BEFORE INSERT ON meeting_recordings FOR EACH ROW EXECUTE FUNCTION own_recording();
CREATE FUNCTION hand_recordings_over() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE meeting_recordings SET owner_id = NEW.host_id WHERE meeting_id = NEW.id; RETURN NULL; END';
CREATE TRIGGER meetings_hand_recordings_over AFTER UPDATE OF host_id ON meetings FOR EACH ROW
    WHEN (OLD.host_id IS DISTINCT FROM NEW.host_id) EXECUTE FUNCTION hand_recordings_over();

-- Where somebody is but does not host, in the order of the lists: hosts have a row in each meeting of theirs.
ALTER TABLE meeting_participants ADD COLUMN meeting_at timestamptz;
UPDATE meeting_participants p SET meeting_at = m.created_at FROM meetings m WHERE m.id = p.meeting_id;
CREATE INDEX meeting_participants_elsewhere ON meeting_participants (user_id, meeting_at DESC, meeting_id DESC)
    WHERE role <> 'host';
CREATE FUNCTION date_participant() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.meeting_at := (SELECT created_at FROM meetings WHERE id = NEW.meeting_id); RETURN NEW; END';
CREATE TRIGGER meeting_participants_date BEFORE INSERT ON meeting_participants
    FOR EACH ROW EXECUTE FUNCTION date_participant();
CREATE INDEX meeting_participants_co_hosts ON meeting_participants (user_id) WHERE role = 'co-host';
CREATE INDEX meeting_participants_present ON meeting_participants (meeting_id) WHERE present;
CREATE INDEX media_streams_open ON media_streams (meeting_id) WHERE unpublished_at IS NULL;
CREATE INDEX meetings_newest ON meetings (created_at DESC, id DESC) WHERE breakout_of IS NULL;

-- Searches: part of a title, of a name, of what was said.
CREATE INDEX meetings_title ON meetings USING gin (lower(title) gin_trgm_ops);
CREATE INDEX meeting_participants_name ON meeting_participants USING gin (lower(name) gin_trgm_ops);
CREATE INDEX captions_text ON captions USING gin (lower(text) gin_trgm_ops);
CREATE INDEX recording_segments_participant ON recording_segments (participant_id);

-- What recordings took of the disk over the last week.
CREATE INDEX recording_segments_closed ON recording_segments (closed_at) INCLUDE (bytes);
CREATE INDEX meeting_recordings_composed ON meeting_recordings (started_at) WHERE composed IS NOT NULL;

-- Erasure finds what names a person or a meeting by the strings in it.
CREATE INDEX outbox_names ON outbox
    USING gin (jsonb_path_query_array(payload, '$.** ? (@.type() == "string")'));
CREATE INDEX operation_logs_names ON operation_logs
    USING gin (jsonb_path_query_array(detail, '$.** ? (@.type() == "string")'));
CREATE INDEX webhook_deliveries_names ON webhook_deliveries
    USING gin (jsonb_path_query_array(body::jsonb, '$.** ? (@.type() == "string")'));
CREATE INDEX operation_logs_actor ON operation_logs (actor);
CREATE INDEX operation_logs_target ON operation_logs (target);
CREATE INDEX outbox_of_accounts ON outbox (key) WHERE meeting_id IS NULL;
CREATE INDEX room_state_banned ON room_state USING gin ((document->'banned_users'));
CREATE INDEX processing_jobs_about ON processing_jobs (subject);
