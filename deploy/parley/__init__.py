"""The composition root: command line, settings, supervisor, and the client library."""
