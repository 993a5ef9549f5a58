"""AI: stored results, the switch for emotion analysis, and the client of a language model."""
