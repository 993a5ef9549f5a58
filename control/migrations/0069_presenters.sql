-- A further role: who presents may share even if participants may not.
ALTER TABLE meeting_participants DROP CONSTRAINT meeting_participants_role_check;
ALTER TABLE meeting_participants ADD CONSTRAINT meeting_participants_role_check
    CHECK (role IN ('host', 'co-host', 'presenter', 'participant', 'viewer'));
