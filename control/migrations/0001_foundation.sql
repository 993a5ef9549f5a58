-- Accounts, meetings, their rooms and what happened in them. Identifiers are text made by control.identifiers.

CREATE TABLE users (
    id text PRIMARY KEY,
    username text NOT NULL,
    username_key text NOT NULL UNIQUE,
    email text,
    email_key text UNIQUE,
    email_verified_at timestamptz,
    display_name text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'banned')),
    epoch integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz
);

-- A sign-in. The refresh token is signed and carries `generation`; an older generation shown again is theft.
CREATE TABLE user_sessions (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    epoch integer NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    rotated_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    user_agent text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT ''
);
CREATE INDEX user_sessions_user ON user_sessions (user_id);

CREATE TABLE invitations (
    code_hash bytea PRIMARY KEY,
    email_key text,
    created_by text REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE TABLE meetings (
    id text PRIMARY KEY,
    host_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'active', 'idle', 'ended')),
    passcode_hash text,
    settings jsonb NOT NULL DEFAULT '{}',
    scheduled_start timestamptz,
    scheduled_end timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    -- the last number given to an event of this meeting, see outbox
    event_seq bigint NOT NULL DEFAULT 0
);
CREATE INDEX meetings_host ON meetings (host_id, created_at DESC, id DESC);

-- A person in a meeting, kept over all of its visits. `rejoin_hash` is of the secret that brings it back.
CREATE TABLE meeting_participants (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    user_id text REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('host', 'co-host', 'participant', 'viewer')),
    rejoin_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    joined_at timestamptz,
    left_at timestamptz,
    present boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX meeting_participants_user ON meeting_participants (meeting_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX meeting_participants_meeting ON meeting_participants (meeting_id, created_at);
CREATE INDEX meeting_participants_of_user ON meeting_participants (user_id, meeting_id);

-- Desired state of a room, the document that the sfu obeys; `document` holds its version too.
CREATE TABLE room_state (
    meeting_id text PRIMARY KEY REFERENCES meetings ON DELETE CASCADE,
    version bigint NOT NULL,
    document jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Where a meeting's room lives: one atomic claim.
CREATE TABLE room_placements (
    meeting_id text PRIMARY KEY REFERENCES meetings ON DELETE CASCADE,
    node text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX room_placements_node ON room_placements (node);

CREATE TABLE nodes (
    node text PRIMARY KEY,
    boot text NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now()
);

-- Each time a room was live on a node.
CREATE TABLE meeting_rooms (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    node text NOT NULL,
    boot text NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    close_reason text
);
CREATE UNIQUE INDEX meeting_rooms_open ON meeting_rooms (meeting_id) WHERE closed_at IS NULL;
CREATE INDEX meeting_rooms_meeting ON meeting_rooms (meeting_id, opened_at);
CREATE INDEX meeting_rooms_live_node ON meeting_rooms (node, boot) WHERE closed_at IS NULL;

-- Published tracks.
CREATE TABLE media_streams (
    track text NOT NULL,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    source text NOT NULL,
    codec text NOT NULL,
    published_at timestamptz NOT NULL,
    unpublished_at timestamptz,
    PRIMARY KEY (meeting_id, track)
);

-- Visits: one row per time a participant was in the room.
CREATE TABLE signaling_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    node text NOT NULL,
    joined_at timestamptz NOT NULL,
    left_at timestamptz,
    leave_reason text
);
CREATE INDEX signaling_sessions_open ON signaling_sessions (meeting_id, participant_id) WHERE left_at IS NULL;
CREATE INDEX signaling_sessions_meeting ON signaling_sessions (meeting_id, joined_at);

-- Chat.
CREATE TABLE signaling_messages (
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    message text NOT NULL,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    name text NOT NULL,
    recipient_id text REFERENCES meeting_participants ON DELETE CASCADE,
    text text NOT NULL,
    sent_at timestamptz NOT NULL,
    edited_at timestamptz,
    deleted_at timestamptz,
    PRIMARY KEY (meeting_id, message)
);
CREATE INDEX signaling_messages_time ON signaling_messages (meeting_id, sent_at, message);

CREATE TABLE consents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    consent text NOT NULL,
    granted boolean NOT NULL,
    text_version text NOT NULL,
    given_at timestamptz NOT NULL
);
CREATE INDEX consents_meeting ON consents (meeting_id, participant_id, consent, given_at);

CREATE TABLE captions (
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    utterance text NOT NULL,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    track text NOT NULL,
    start_ms bigint NOT NULL,
    end_ms bigint NOT NULL,
    lang text NOT NULL,
    text text NOT NULL,
    model text NOT NULL,
    said_at timestamptz NOT NULL,
    PRIMARY KEY (meeting_id, utterance)
);
CREATE INDEX captions_time ON captions (meeting_id, said_at, start_ms);

CREATE TABLE meeting_recordings (
    id text PRIMARY KEY,
    meeting_id text NOT NULL REFERENCES meetings ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'recording' CHECK (state IN ('recording', 'sealing', 'ready', 'partial')),
    started_by text,
    started_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    stopped_at timestamptz,
    finished_at timestamptz,
    duration_ms bigint,
    bytes bigint,
    manifest text
);
CREATE INDEX meeting_recordings_meeting ON meeting_recordings (meeting_id, started_at DESC);

CREATE TABLE recording_segments (
    recording_id text NOT NULL REFERENCES meeting_recordings ON DELETE CASCADE,
    key text NOT NULL,
    track text NOT NULL,
    participant_id text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (recording_id, key)
);

-- Batches of facts already taken, so that a repeated one does nothing.
CREATE TABLE fact_batches (
    node text NOT NULL,
    boot text NOT NULL,
    n bigint NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, boot, n)
);

-- Events to publish. Of one meeting, `seq` is 1, 2, 3, … in the order of commit; account events have no meeting.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL,
    meeting_id text,
    seq bigint NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    UNIQUE (meeting_id, seq)
);
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;

-- Administrative acts.
CREATE TABLE operation_logs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text,
    action text NOT NULL,
    target text,
    address text NOT NULL DEFAULT '',
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX operation_logs_time ON operation_logs (at DESC, id DESC);

CREATE TABLE system_configs (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE VIEW active_meeting_statistics AS
SELECT m.id AS meeting_id,
       m.title,
       r.node,
       r.opened_at,
       (SELECT count(*) FROM meeting_participants p WHERE p.meeting_id = m.id AND p.present) AS participants,
       (SELECT count(*) FROM media_streams s WHERE s.meeting_id = m.id AND s.unpublished_at IS NULL) AS tracks,
       EXISTS (SELECT FROM meeting_recordings c WHERE c.meeting_id = m.id AND c.state = 'recording') AS recording
FROM meetings m
JOIN meeting_rooms r ON r.meeting_id = m.id AND r.closed_at IS NULL;
