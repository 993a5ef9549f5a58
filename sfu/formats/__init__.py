"""Formats: bytes to dataclasses and back. No state, no I/O; a parser returns a value or raises ValueError."""
