-- Recent proof of who is signed in, one namespace for what people sign in with, and the way back from a changed address.

ALTER TABLE user_sessions ADD COLUMN proved_at timestamptz NOT NULL DEFAULT now();
UPDATE user_sessions SET proved_at = created_at;
DROP TRIGGER user_sessions_changed ON user_sessions;
CREATE TRIGGER user_sessions_changed AFTER UPDATE OF revoked_at, strong, epoch, proved_at OR DELETE ON user_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION notify_sessions_changed();

-- User names and confirmed addresses: each belongs to one account. An address that is not confirmed reserves nothing.
CREATE TABLE login_names (
    key text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE
);
CREATE INDEX login_names_user ON login_names (user_id);
INSERT INTO login_names SELECT username_key, id FROM users;
-- Until now an address could be another account's user name, which comes first.
UPDATE users SET email_verified_at = NULL
    WHERE EXISTS (SELECT FROM login_names WHERE key = users.email_key AND user_id <> users.id);
INSERT INTO login_names
    SELECT email_key, id FROM users WHERE email_verified_at IS NOT NULL AND email_key <> username_key;

CREATE FUNCTION keep_login_names() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    names text[] := array_remove(
        ARRAY[NEW.username_key, CASE WHEN NEW.email_verified_at IS NOT NULL THEN NEW.email_key END], NULL);
BEGIN
    DELETE FROM login_names WHERE user_id = NEW.id AND key <> ALL (names);
    INSERT INTO login_names (key, user_id)
        SELECT DISTINCT name, NEW.id FROM unnest(names) AS name
        WHERE NOT EXISTS (SELECT FROM login_names WHERE key = name AND user_id = NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER users_login_names AFTER INSERT OR UPDATE OF username_key, email_key, email_verified_at ON users
    FOR EACH ROW EXECUTE FUNCTION keep_login_names();

ALTER TABLE users DROP CONSTRAINT users_email_key_key;
CREATE INDEX users_email ON users (email_key) WHERE email_key IS NOT NULL;

-- `undo`: mailed to the address that an account had before.
ALTER TABLE account_tokens
    DROP CONSTRAINT account_tokens_purpose_check,
    ADD CONSTRAINT account_tokens_purpose_check CHECK (purpose IN ('reset', 'verify', 'undo'));
