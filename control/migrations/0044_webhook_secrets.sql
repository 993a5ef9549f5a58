-- The secret before the current one signs, too, until receivers have the new one.
ALTER TABLE webhooks ADD COLUMN old_secret text;
ALTER TABLE webhooks ADD COLUMN old_secret_until timestamptz;
