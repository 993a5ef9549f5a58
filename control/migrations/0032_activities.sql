-- Polls and questions of a meeting.

CREATE TABLE polls (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    question text NOT NULL,
    options text[] NOT NULL,
    multiple boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz
);
CREATE INDEX polls_meeting ON polls (meeting_id);

CREATE TABLE poll_votes (
    poll_id text NOT NULL REFERENCES polls ON DELETE CASCADE,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    options smallint[] NOT NULL,
    PRIMARY KEY (poll_id, participant_id)
);
CREATE INDEX poll_votes_participant ON poll_votes (participant_id);

CREATE TABLE questions (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    text text NOT NULL,
    anonymous boolean NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz
);
CREATE INDEX questions_meeting ON questions (meeting_id);
CREATE INDEX questions_participant ON questions (participant_id);

CREATE TABLE question_votes (
    question_id text NOT NULL REFERENCES questions ON DELETE CASCADE,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    PRIMARY KEY (question_id, participant_id)
);
CREATE INDEX question_votes_participant ON question_votes (participant_id);
