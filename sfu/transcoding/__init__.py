"""Sound between Opus and what telephones speak: codecs, timing, and the process that does it."""
