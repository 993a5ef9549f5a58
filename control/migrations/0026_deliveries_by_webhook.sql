-- Deliveries are taken a few of each account at a time.
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, id) WHERE state = 'waiting';
