-- How each participant's media fared, a row a minute and one on leaving, as the sfu reports it.

CREATE TABLE participant_quality (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    at timestamptz NOT NULL,
    seconds integer NOT NULL,
    final boolean NOT NULL,
    round_trip_ms real NOT NULL,
    estimate bigint,
    tracks jsonb NOT NULL
);
CREATE INDEX participant_quality_meeting ON participant_quality (meeting_id, id DESC);
CREATE INDEX participant_quality_participant ON participant_quality (participant_id, id DESC);
