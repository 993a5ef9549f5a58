"""Registry of sfu nodes: the living nodes, their load, and the choice of one for a new room."""
