-- Emojis that participants put on chat messages.

CREATE TABLE message_reactions (
    meeting_id text NOT NULL,
    message text NOT NULL,
    participant_id text NOT NULL REFERENCES meeting_participants ON DELETE CASCADE,
    emoji text NOT NULL,
    reacted_at timestamptz NOT NULL,
    PRIMARY KEY (meeting_id, message, participant_id, emoji),
    FOREIGN KEY (meeting_id, message) REFERENCES signaling_messages ON DELETE CASCADE
);
CREATE INDEX message_reactions_participant ON message_reactions (participant_id);
