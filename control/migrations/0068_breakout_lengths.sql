-- Breakout rooms that close by themselves: the plan's `ends_at` (Unix ms) is when.
CREATE INDEX meetings_breakouts_end ON meetings (((breakouts->>'ends_at')::bigint)) WHERE breakouts->>'ends_at' IS NOT NULL;
