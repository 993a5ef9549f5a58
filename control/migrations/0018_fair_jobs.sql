-- An attempt counts when the job itself failed (`failures`), or was cut off without getting beyond `furthest`
-- (`cut_offs`, in a row). Jobs of one `line` follow each other, and are taken in the order of `due_at`: when each would
-- be done were its line alone.

ALTER TABLE processing_jobs
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN cut_offs integer NOT NULL DEFAULT 0,
    ADD COLUMN furthest real NOT NULL DEFAULT 0,
    ADD COLUMN line text NOT NULL DEFAULT '',
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT now();
UPDATE processing_jobs SET due_at = created_at;
CREATE INDEX processing_jobs_order ON processing_jobs (due_at) WHERE state IN ('queued', 'running');
CREATE INDEX processing_jobs_line ON processing_jobs (kind, line, due_at) WHERE state IN ('queued', 'running');
