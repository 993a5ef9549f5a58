"""Worker processes: starting, supervising and asking them, and the loops that they run."""
