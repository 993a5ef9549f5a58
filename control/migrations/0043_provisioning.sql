-- Accounts as an identity provider knows them by SCIM: its name and id, and the attributes that this server only keeps.
CREATE TABLE provisioned_users (
    user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    user_name text NOT NULL,
    user_name_key text NOT NULL UNIQUE,
    external_id text,
    attributes jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX provisioned_users_external_id ON provisioned_users (external_id);
