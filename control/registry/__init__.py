"""Registry of sfu nodes: which are alive, their load, and the choice of one for a new room."""
