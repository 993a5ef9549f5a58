"""Events: the outbox relay, the bus, dead letters and webhooks."""
