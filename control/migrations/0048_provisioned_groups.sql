-- Groups of accounts as an identity provider knows them by SCIM.
CREATE TABLE provisioned_groups (
    id text PRIMARY KEY,
    name text NOT NULL,
    name_key text NOT NULL UNIQUE,
    external_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX provisioned_groups_external_id ON provisioned_groups (external_id);
CREATE TABLE provisioned_group_members (
    group_id text NOT NULL REFERENCES provisioned_groups ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX provisioned_group_members_user ON provisioned_group_members (user_id);
