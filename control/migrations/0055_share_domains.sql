-- Links of recordings may be limited to people with an e-mail address of some domains.

ALTER TABLE recording_links ADD COLUMN domains text[] NOT NULL DEFAULT '{}';
