-- What an application says about its participants. It belongs to the application; the server does not read it.

ALTER TABLE meeting_participants ADD COLUMN metadata text NOT NULL DEFAULT '';
