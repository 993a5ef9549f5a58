-- Settings that administrators change while the server runs. A setting without a row has its default.

CREATE TABLE live_settings (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    changed_by text REFERENCES users (id) ON DELETE SET NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX live_settings_changed_by ON live_settings (changed_by);
