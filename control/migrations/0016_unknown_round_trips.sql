-- Of a participant that receives nothing no round trip is known: null, where 0 was kept before.

ALTER TABLE participant_quality ALTER COLUMN round_trip_ms DROP NOT NULL;
