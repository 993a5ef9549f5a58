-- Passkeys (Web Authentication), sessions that a second factor stands behind, addresses to be confirmed first.

CREATE TABLE passkeys (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    credential_id bytea NOT NULL UNIQUE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz
);
CREATE INDEX passkeys_user ON passkeys (user_id);

-- What a ceremony was begun with: each challenge is answered once. `user_id` is null for signing in.
CREATE TABLE passkey_challenges (
    challenge_hash bytea PRIMARY KEY,
    user_id text REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- `strong`: signed in with a second factor, a passkey, or at an identity provider.
ALTER TABLE user_sessions ADD COLUMN strong boolean NOT NULL DEFAULT false;

-- The account works once its address is confirmed.
ALTER TABLE users ADD COLUMN must_confirm boolean NOT NULL DEFAULT false;
