"""Characters that names must not have: control characters, and those that reverse or hide text."""

HIDDEN = r"\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
"""The content of a character class: control characters, and Unicode's bidirectional and zero-width ones."""
