-- A recording says why it is not kept at the moment, what is wrong with it when it is finished, and that nothing is in it.

ALTER TABLE meeting_recordings
    ADD COLUMN stalled text,
    ADD COLUMN problems text[] NOT NULL DEFAULT '{}',
    DROP CONSTRAINT meeting_recordings_state_check,
    ADD CONSTRAINT meeting_recordings_state_check
        CHECK (state IN ('recording', 'sealing', 'ready', 'partial', 'empty'));
