"""Which sfu nodes there are and live, how busy each is, and which one a new room goes to."""
