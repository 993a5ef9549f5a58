"""Contract between the composing process and the process that starts it."""

from pathlib import Path

import msgspec

from objects.sealed_file import Files

GAVE_WAY = 75
"""The exit code (EX_TEMPFAIL) of a process that yielded to others: the film is incomplete, but nothing failed."""
VERSION = 3
"""The version of the film format: parts of an older version cannot be used."""
COMPOSE = "compose"
"""The kind of the automatic film's job, and its directory."""


def given_keys(files: Files) -> bytes:
    """Return the keys of a recording, as the process gets them on its standard input."""
    return msgspec.json.encode({key_id.hex(): key.hex() for key_id, key in files.keys.items()})


def files_by(given: bytes) -> Files:
    """Return the access to a recording's files by the keys that the process was given."""
    keys = msgspec.json.decode(given, type=dict[str, str])
    return Files({bytes.fromhex(key_id): bytes.fromhex(key) for key_id, key in keys.items()})


def early_directory(work: Path) -> Path:
    """Return the directory of parts that are made while the recording runs, below that of its film."""
    return work / f"early-{VERSION}"


def belongs_to(early: Path) -> Path:
    """Return the file with the hash (SHA-256) of the manifest to which early parts belong. It is written last."""
    return early / "belongs_to"
