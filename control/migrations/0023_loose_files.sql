-- Files in the store that no row refers to: while they are uploaded, and from when their row goes until they are gone.
-- What is left of them when their time lapses is deleted.

CREATE TABLE loose_files (
    id text PRIMARY KEY,
    -- whose quota it takes up while it is uploaded; null: it is to be deleted
    owner_id text REFERENCES users ON DELETE SET NULL,
    bytes bigint NOT NULL DEFAULT 0,
    until timestamptz NOT NULL
);
CREATE INDEX loose_files_owner ON loose_files (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX loose_files_until ON loose_files (until);
