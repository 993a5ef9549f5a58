-- Recordings on legal hold are not deleted. A hold says who placed it: a host of the meeting, or an administrator.

ALTER TABLE meeting_recordings ADD COLUMN hold text CHECK (hold IN ('host', 'admin'));
CREATE INDEX meeting_recordings_held ON meeting_recordings (meeting_id) WHERE hold IS NOT NULL;
