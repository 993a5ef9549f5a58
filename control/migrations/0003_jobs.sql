-- Who asked for a job, and what it needs to know; ai_tasks are the results that stay with their file.

ALTER TABLE processing_jobs
    ADD COLUMN owner_id text REFERENCES users ON DELETE CASCADE,
    ADD COLUMN options jsonb NOT NULL DEFAULT '{}';
CREATE INDEX processing_jobs_owner ON processing_jobs (owner_id, created_at DESC, id DESC);

CREATE TABLE ai_tasks (
    id text PRIMARY KEY REFERENCES processing_jobs ON DELETE CASCADE,
    file_id text NOT NULL REFERENCES media_files ON DELETE CASCADE,
    task text NOT NULL,
    result jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ai_tasks_file ON ai_tasks (file_id, task, created_at);
