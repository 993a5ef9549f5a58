"""Layout of a recording's files, and the check of names that become paths.

    {recordings}/{recording}/recording.json           description of the recording, written when it begins
    {recordings}/{recording}/{track}/{epoch}-{n}.webm  a captured segment (.mkv for H264) ...
    {recordings}/{recording}/{track}/{epoch}-{n}.jnl   ... and its journal
    {recordings}/{recording}/{track}.webm              a finished track (.mp4 for H264); parts: {track}.2.webm ...
    {recordings}/{recording}/manifest.json             the commit
    {recordings}/{recording}/recording.lease           touched every minute by the recorder that owns it
    {recordings}/.recorders/{instance}                 locked by the recorder with that name

An epoch is one attachment of a recorder to an sfu. Keys, as in facts and the manifest, are paths relative to the
recordings directory. Identifiers come from other processes, so they are checked before they become part of a path.
"""

import re
from pathlib import Path
from typing import NamedTuple

INFO_NAME = "recording.json"
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
HOLD_NAME = "legal.hold"
LEASE_NAME = "recording.lease"
REPORTED_NAME = "manifest.reported"
JOURNAL_SUFFIX = ".jnl"

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SEGMENT = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


class SegmentName(NamedTuple):
    """A segment's place within its track. Sorting gives the order of capture."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}"


def identifier(text: str) -> str:
    """Return `text` if it is safe as the name of a directory; raises ValueError if it could lead elsewhere."""
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError(f"not an identifier: {text[:64]!r}")
    return text


def recording_dir(root: Path, recording: str) -> Path:
    """Return the recording's directory; raises ValueError for an invalid id."""
    return root / identifier(recording)


def track_dir(root: Path, recording: str, track: str) -> Path:
    """Return the directory of a track's segments; raises ValueError for an invalid id."""
    return root / identifier(recording) / identifier(track)


def finished_path(recording: Path, track: str, part: int, suffix: str) -> Path:
    """Return the path of a finished file; parts count from 1. Ids contain no dot, so tracks cannot collide."""
    return recording / (identifier(track) + ("" if part == 1 else f".{part}") + suffix)


def segment_name(path: Path) -> SegmentName | None:
    """Return the segment of a media file or a journal, None for any other file."""
    match = _SEGMENT.fullmatch(path.stem)
    return SegmentName(int(match[1]), int(match[2])) if match else None


def journals(directory: Path) -> list[tuple[SegmentName, Path]]:
    """Return the journals in a track's directory in the order of capture."""
    found = [(segment_name(path), path) for path in directory.glob(f"*{JOURNAL_SUFFIX}")]
    return sorted((name, path) for name, path in found if name is not None)


def track_dirs(recording: Path) -> list[Path]:
    """Return the track directories of a recording, by name."""
    return sorted(path for path in recording.iterdir() if path.is_dir() and _IDENTIFIER.fullmatch(path.name))


def last_epoch(recording: Path) -> int:
    """Return the highest epoch of any file of the recording, 0 for none."""
    names = (name for track in track_dirs(recording) for name, _ in journals(track))
    return max((name.epoch for name in names), default=0)


def key(root: Path, path: Path) -> str:
    """Return a file's key."""
    return path.relative_to(root).as_posix()


def path_of_key(root: Path, text: str) -> Path:
    """Return the path of a key from a manifest; raises ValueError if it leads out of `root`."""
    path = root / text
    if path.is_absolute() != root.is_absolute() or ".." in Path(text).parts or Path(text).is_absolute():
        raise ValueError(f"not a key: {text[:64]!r}")
    return path
