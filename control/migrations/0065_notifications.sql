-- What each account wants mail about; an account without a row has the defaults of the columns.

CREATE TABLE notification_switches (
    user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    film boolean NOT NULL DEFAULT false,
    minutes boolean NOT NULL DEFAULT false,
    sign_in boolean NOT NULL DEFAULT true,
    reminder boolean NOT NULL DEFAULT false,
    lobby boolean NOT NULL DEFAULT false,
    language text NOT NULL DEFAULT ''
);

-- A job that failed because of something that passes, such as a mail server's outage, waits.
ALTER TABLE processing_jobs ADD COLUMN not_before timestamptz;

-- The occurrence of which the host was reminded last.
ALTER TABLE meetings ADD COLUMN reminded_of timestamptz;
