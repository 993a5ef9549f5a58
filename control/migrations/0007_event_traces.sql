-- The trace that an event is part of (W3C Trace Context), '' for none; it goes on in the headers of the bus.

ALTER TABLE outbox ADD COLUMN traceparent text NOT NULL DEFAULT '';
