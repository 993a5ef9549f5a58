-- Searches in Chinese, Japanese and Korean: words of one or two characters have no trigrams, so their characters and
-- pairs of characters are indexed. No dictionary: every server finds the same, and no extension is needed.

CREATE FUNCTION cjk_grams(text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(run[1], place, size)), '{}')
    FROM regexp_matches($1, '[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003fffd]+', 'g') AS run,
        generate_series(1, length(run[1])) AS place, (VALUES (1), (2)) AS sizes (size)
$$;
CREATE INDEX captions_grams ON captions USING gin (cjk_grams(lower(text)));
CREATE INDEX meetings_title_grams ON meetings USING gin (cjk_grams(lower(title)));
CREATE INDEX meeting_participants_name_grams ON meeting_participants USING gin (cjk_grams(lower(name)));
