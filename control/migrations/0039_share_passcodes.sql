-- Links of recordings may have a passcode, hashed like those of meetings.

ALTER TABLE recording_links ADD COLUMN passcode_hash text;
