-- Jobs of agents: programs that LiveKit's agent framework runs, dispatched to rooms. A dispatch has one job.

CREATE TABLE agent_jobs (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    room text NOT NULL,
    agent_name text NOT NULL,
    metadata text NOT NULL DEFAULT '',
    attributes jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'success', 'failed')),
    worker text,
    identity text NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    retry_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    ended_by_api boolean NOT NULL DEFAULT false
);
CREATE INDEX agent_jobs_meeting ON agent_jobs (meeting_id);
CREATE INDEX agent_jobs_pending ON agent_jobs (retry_at) WHERE state = 'pending';
CREATE INDEX agent_jobs_running ON agent_jobs (worker) WHERE state = 'running';
