-- Mail tokens, API keys, the lobby, webhooks, media files, jobs and repeated requests.

-- One-time tokens sent by mail.
CREATE TABLE account_tokens (
    token_hash bytea PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose text NOT NULL CHECK (purpose IN ('reset', 'verify')),
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX account_tokens_user ON account_tokens (user_id, purpose);

CREATE TABLE api_keys (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_user ON api_keys (user_id);

ALTER TABLE users ADD COLUMN avatar text;

ALTER TABLE meetings
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
    ADD COLUMN recurrence text;
CREATE INDEX meetings_upcoming ON meetings (scheduled_start) WHERE scheduled_start IS NOT NULL AND status <> 'ended';

-- People who wait to be let in. `ticket_hash` is of the secret that they come back with.
CREATE TABLE lobby_entries (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    user_id text REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    ticket_hash bytea NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'admitted', 'denied')),
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX lobby_entries_waiting ON lobby_entries (meeting_id, created_at) WHERE state = 'waiting';

CREATE TABLE webhooks (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    url text NOT NULL,
    secret text NOT NULL,
    kinds text[] NOT NULL,
    all_meetings boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_user ON webhooks (user_id);

CREATE TABLE webhook_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id bigint NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    last_status integer,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'waiting';

-- Uploaded files; `state` becomes ready only when the whole content is in place.
CREATE TABLE media_files (
    id text PRIMARY KEY,
    owner_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    meeting_id text REFERENCES meetings ON DELETE CASCADE,
    name text NOT NULL,
    content_type text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    thumbnail boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX media_files_owner ON media_files (owner_id, created_at DESC, id DESC);

-- Work to be done: claimed by a lease, `attempt` fences every write.
CREATE TABLE processing_jobs (
    id text PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    attempt integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    progress real NOT NULL DEFAULT 0,
    result jsonb,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX processing_jobs_due ON processing_jobs (created_at) WHERE state IN ('queued', 'running');

-- Answers to unsafe requests with an Idempotency-Key, for a day.
CREATE TABLE idempotency_keys (
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    status integer,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
