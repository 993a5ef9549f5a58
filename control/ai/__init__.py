"""AI: stored results, the switch of emotion analysis, and the client of a language model."""
