"""Contract between the composing process and the process that starts it."""

from pathlib import Path

GAVE_WAY = 75
"""The exit code (EX_TEMPFAIL) of a process that yielded to others: the film is incomplete, but nothing failed."""
VERSION = 3
"""The version of the film format: parts of an older version cannot be used."""
COMPOSE = "compose"
"""The kind of the automatic film's job, and its directory."""


def early_directory(work: Path) -> Path:
    """Return the directory of parts that are made while the recording runs, below that of its film."""
    return work / f"early-{VERSION}"


def belongs_to(early: Path) -> Path:
    """Return the file with the hash (SHA-256) of the manifest to which early parts belong. It is written last."""
    return early / "belongs_to"
