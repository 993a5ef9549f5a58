-- The last answer to an offer that a participant gave by polling REST, for clients that fetch it apart.

CREATE TABLE webrtc_peers (
    participant_id text PRIMARY KEY REFERENCES meeting_participants ON DELETE CASCADE,
    purpose text NOT NULL CHECK (purpose IN ('publish', 'play')),
    answer text NOT NULL,
    location text NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now()
);
