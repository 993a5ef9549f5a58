-- Webhooks in the form of LiveKit's, signed with the secret of an API key.

ALTER TABLE webhooks ADD COLUMN livekit_key text;
