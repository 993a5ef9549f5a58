-- Links that open one ordered film of a recording, such as a clip, instead of the whole recording.

ALTER TABLE recording_links ADD COLUMN film_id text REFERENCES recording_films (id) ON DELETE CASCADE;
CREATE INDEX recording_links_film ON recording_links (film_id);
