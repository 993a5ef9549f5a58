"""Contract of the process that composes and the one that starts it."""

GAVE_WAY = 75
"""The exit code (EX_TEMPFAIL) of a process that has let others go first: the film is not done, and nothing failed."""
VERSION = 3
"""The version of how films are made: parts of an older one are unusable."""
