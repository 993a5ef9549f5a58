"""ICE (RFC 8445): the lite agent, a full client for tests and links, and framing over TCP."""
