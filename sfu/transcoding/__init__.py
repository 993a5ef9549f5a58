"""Conversion of sound between Opus and telephone codecs: codecs, timing, and the process that does it."""
