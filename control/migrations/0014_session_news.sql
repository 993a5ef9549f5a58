-- Every control process remembers for a moment who a token stands for: what changes that is told to all of them, by
-- whichever process or tool it is changed.

CREATE FUNCTION notify_sessions_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('sessions_changed', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER user_sessions_changed AFTER UPDATE OF revoked_at, strong, epoch OR DELETE ON user_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION notify_sessions_changed();
CREATE TRIGGER users_changed AFTER UPDATE OF epoch, state, role, display_name OR DELETE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION notify_sessions_changed();
