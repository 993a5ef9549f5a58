-- What administrators see over time: visits, rooms and joins by day, and what was stored on each day.

CREATE INDEX signaling_sessions_joined ON signaling_sessions (joined_at);
CREATE INDEX meeting_rooms_opened ON meeting_rooms (opened_at);
CREATE INDEX meeting_participants_absent ON meeting_participants (seat_until) WHERE joined_at IS NULL;
CREATE TABLE storage_days (
    day date PRIMARY KEY,
    recording_bytes bigint NOT NULL,
    file_bytes bigint NOT NULL
);
