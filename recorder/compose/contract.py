"""Contract between the composing process and the process that starts it."""

GAVE_WAY = 75
"""The exit code (EX_TEMPFAIL) of a process that yielded to others: the film is incomplete, but nothing failed."""
VERSION = 3
"""The version of the film format: parts of an older version cannot be used."""
