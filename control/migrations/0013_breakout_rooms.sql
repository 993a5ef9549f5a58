-- Breakout rooms: meetings that belong to another one, and which of its participants are to be where.

ALTER TABLE meetings
    ADD COLUMN breakout_of text REFERENCES meetings ON DELETE CASCADE,
    ADD COLUMN closes_at timestamptz,
    -- of a meeting that has breakout rooms: open, may_choose, may_return
    ADD COLUMN breakouts jsonb;
CREATE INDEX meetings_breakouts ON meetings (breakout_of, created_at, id) WHERE breakout_of IS NOT NULL;

-- In a breakout room: which participant of the main room somebody is.
ALTER TABLE meeting_participants ADD COLUMN main_id text REFERENCES meeting_participants ON DELETE CASCADE;
CREATE UNIQUE INDEX meeting_participants_main ON meeting_participants (meeting_id, main_id) WHERE main_id IS NOT NULL;

CREATE TABLE breakout_assignments (
    participant_id text PRIMARY KEY REFERENCES meeting_participants ON DELETE CASCADE,
    breakout_id text NOT NULL REFERENCES meetings ON DELETE CASCADE
);
CREATE INDEX breakout_assignments_breakout ON breakout_assignments (breakout_id);
