"""The HTTP server: listeners, bodies, problems, entity tags, limits, metrics and traces of requests."""
