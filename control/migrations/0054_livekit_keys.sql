-- API keys of LiveKit's SDKs that administrators made. The secret is encrypted, since verifying signatures needs it.
CREATE TABLE livekit_keys (
    id text PRIMARY KEY,
    name text NOT NULL,
    sealed_secret text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz
);
