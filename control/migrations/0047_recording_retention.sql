-- The days for which a meeting keeps its recordings, if fewer than the server does. Breakout rooms follow their meeting.
-- Kept by triggers, so that whoever writes meetings and recordings need not know.

ALTER TABLE meeting_recordings ADD COLUMN keep_days integer;
CREATE OR REPLACE FUNCTION own_recording() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN SELECT m.host_id, (coalesce(main.settings, m.settings)->>''keep_recordings_days'')::integer
    INTO NEW.owner_id, NEW.keep_days FROM meetings m LEFT JOIN meetings main ON main.id = m.breakout_of
    WHERE m.id = NEW.meeting_id; RETURN NEW; END';
CREATE FUNCTION keep_recordings() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE meeting_recordings SET keep_days = (NEW.settings->>''keep_recordings_days'')::integer
    WHERE meeting_id = NEW.id OR meeting_id IN (SELECT id FROM meetings WHERE breakout_of = NEW.id); RETURN NULL; END';
CREATE TRIGGER meetings_keep_recordings AFTER UPDATE OF settings ON meetings FOR EACH ROW
    WHEN (OLD.settings->>'keep_recordings_days' IS DISTINCT FROM NEW.settings->>'keep_recordings_days')
    EXECUTE FUNCTION keep_recordings();
