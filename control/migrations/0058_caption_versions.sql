-- Texts of captions that somebody edited: version 0 is the recogniser's, the last one is the caption's.

ALTER TABLE captions ADD COLUMN edited_at timestamptz;
CREATE TABLE caption_versions (
    meeting_id text NOT NULL,
    utterance text NOT NULL,
    version integer NOT NULL,
    text text NOT NULL,
    written_by text REFERENCES users ON DELETE SET NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (meeting_id, utterance, version),
    FOREIGN KEY (meeting_id, utterance) REFERENCES captions ON DELETE CASCADE
);
CREATE INDEX caption_versions_writer ON caption_versions (written_by);
