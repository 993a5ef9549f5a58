-- Each bus has a place of its own in the outbox: `enqueued_at` for deliveries to webhooks, `published_at` for Kafka, so
-- that neither waits for the other. What Kafka does not take is left alone until `retry_at`, with what stands behind it
-- under the same key; `attempts` counts how often it refused, `reason` tells why. A dead letter has both a reason and a
-- `published_at`: nobody tries it again, but for `parley events replay`.

-- For the rows that there are, webhooks had theirs before anything was published.
ALTER TABLE outbox ADD COLUMN enqueued_at timestamptz DEFAULT now();
ALTER TABLE outbox ALTER COLUMN enqueued_at DROP DEFAULT;
UPDATE outbox SET enqueued_at = NULL WHERE published_at IS NULL;

ALTER TABLE outbox ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN retry_at timestamptz;
ALTER TABLE outbox ADD COLUMN reason text;

CREATE INDEX outbox_not_enqueued ON outbox (id) WHERE enqueued_at IS NULL;
CREATE INDEX outbox_held ON outbox (key, id) WHERE published_at IS NULL AND retry_at IS NOT NULL;
CREATE INDEX outbox_reasons ON outbox (id) WHERE reason IS NOT NULL;
