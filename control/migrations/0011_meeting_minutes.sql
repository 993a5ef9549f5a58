-- What was said in a meeting that ended, summed up by a language model where one is configured.

CREATE TABLE meeting_minutes (
    meeting_id text PRIMARY KEY REFERENCES meetings ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('none', 'writing', 'ready', 'failed')),
    lines integer NOT NULL,
    text text,
    model text,
    error text,
    made_at timestamptz NOT NULL DEFAULT now()
);
