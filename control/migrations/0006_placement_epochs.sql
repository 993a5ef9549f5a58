-- Placements that change: an epoch that only grows, and the nodes that a room has spilled over to.

ALTER TABLE room_placements ADD COLUMN epoch bigint NOT NULL DEFAULT 1;
ALTER TABLE room_placements ADD COLUMN spilled_to text[] NOT NULL DEFAULT '{}';
