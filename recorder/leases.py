"""Ownership of recordings if several recorders share a directory.

A recorder owns the recordings that name it (`instance` in `recording.json`), and touches a file in each of them every
minute. A recording that has not been touched for a quarter of an hour may be taken over. If the file system supports
locks, they prevent two recorders from having the same name, and from taking over the same recording.
"""

import contextlib
import fcntl
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from recorder import layout, manifest
from recorder.manifest import RecordingInfo

_log = logging.getLogger(__name__)

ORPHANED_SECONDS = 900
RENEW_SECONDS = 60.0
_NAMES = ".recorders"


def renew(directory: Path) -> None:
    """Renew the lease of a recording. Raises OSError."""
    (directory / layout.LEASE_NAME).touch()


def is_orphaned(directory: Path, now: float) -> bool:
    """Return True if a recording's lease has expired; `now` in Unix seconds. Raises OSError."""
    return now - _touched(directory) >= ORPHANED_SECONDS


def take_over(directory: Path, instance: str, now: float) -> bool:
    """Take over a recording with an expired lease; return False if that fails. `now`: Unix seconds."""
    info = _read(directory)
    if info is None or info.instance == instance or not is_orphaned(directory, now):
        return False
    with (directory / layout.LEASE_NAME).open("a") as lease:
        if not _lock(lease) or _read(directory) != info:
            return False
        manifest.write_info(directory, msgspec.structs.replace(info, instance=instance))
    _log.warning(
        "taking over recording %s of %s: its recorder has not touched it for a long time",
        info.recording,
        info.instance,
    )
    return True


@contextlib.contextmanager
def finishing(directory: Path) -> Iterator[None]:
    """Prevent other recorders from finishing the same recording meanwhile; raises OSError if one is finishing it."""
    with (directory / layout.LEASE_NAME).open("a") as lease:
        if not _lock(lease):
            raise BlockingIOError(f"another recorder is finishing {directory.name}")
        yield


@contextlib.contextmanager
def having_name(root: Path, instance: str) -> Iterator[None]:
    """Reserve a recorder's name; raises OSError if another recorder on this directory has it."""
    directory = root / _NAMES
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / file_name(instance)).open("a") as name:
        if not _lock(name):
            raise FileExistsError(f"another recorder named {instance} uses {root}: give each its own PARLEY_SFU_NODE")
        yield


def file_name(instance: str) -> str:
    """Return a recorder's name as a file name."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", instance).lstrip(".") or "_"


def _lock(file: IO[str]) -> bool:
    """Lock a file until it is closed; return False if it is locked already, True if locks are not supported."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _log.warning("%s cannot be locked: %s", file.name, error)
    return True


def _read(directory: Path) -> RecordingInfo | None:
    try:
        return manifest.read_info(directory)
    except ValueError:
        return None


def _touched(directory: Path) -> float:
    """Return the time of the last change of a recording. A segment lasts 30 s, and a new one changes the directory."""
    documents = (layout.LEASE_NAME, layout.INFO_NAME, layout.MANIFEST_NAME)
    paths = [directory, *(directory / name for name in documents), *layout.track_dirs(directory)]
    return max(path.stat().st_mtime for path in paths if path.exists())
