-- Translations of captions, made when the first reader asks for one, and kept for the others.

CREATE TABLE caption_translations (
    meeting_id text NOT NULL,
    utterance text NOT NULL,
    language text NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (meeting_id, utterance, language),
    FOREIGN KEY (meeting_id, utterance) REFERENCES captions ON DELETE CASCADE
);
