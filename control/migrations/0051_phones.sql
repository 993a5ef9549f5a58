-- Telephones: the PINs with which callers enter meetings, and the calls.

CREATE TABLE phone_pins (
    meeting_id text PRIMARY KEY REFERENCES meetings ON DELETE CASCADE,
    pin text NOT NULL UNIQUE
);

-- `phone` is the process that has the call, '' for a call that none has taken yet. `keys` are pressed once a call that
-- was placed is answered. `lobby_entry` is where a caller waits.
CREATE TABLE phone_calls (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    participant_id text REFERENCES meeting_participants ON DELETE SET NULL,
    lobby_entry text,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    number text NOT NULL,
    name text NOT NULL,
    keys text NOT NULL DEFAULT '',
    phase text NOT NULL DEFAULT 'waiting',
    reason text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    created_by text REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    reported_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX phone_calls_meeting ON phone_calls (meeting_id, created_at);
CREATE INDEX phone_calls_participant ON phone_calls (participant_id);
CREATE INDEX phone_calls_creator ON phone_calls (created_by);
CREATE INDEX phone_calls_open ON phone_calls (phone) WHERE ended_at IS NULL;
