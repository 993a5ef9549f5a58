-- The film of a recording, once it was made: file, bytes, sha256, duration_ms.

ALTER TABLE meeting_recordings ADD COLUMN composed jsonb;
CREATE INDEX processing_jobs_subject ON processing_jobs (kind, subject, created_at DESC);
