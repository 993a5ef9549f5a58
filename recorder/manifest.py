"""A recording's two documents: `recording.json` describes one in progress, `manifest.json` a finished one.

Both are replaced atomically. The manifest is written and synced to disk last: it is the commit, and a recording
without it is not finished. Keys are relative to the recordings directory.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from objects.sealed_file import PLAIN, Files, sync_directory
from recorder.layout import INFO_NAME, MANIFEST_NAME, SIGNATURE_NAME

VERSION = 1


class RecordingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in progress. `state` is recording, sealing or closed (its segments are deleted: it cannot continue).

    `ended_unix_ms` is 0 until it ends; `instance` is the recorder that owns it, `placement` the epoch
    (sfu.api.placement) of the node that it comes from.

    `started_at` is the start on the sfu's monotonic clock (ns), `opened_at` the zero of the room's meeting clock,
    and `opened_unix_ms` the same instant by the wall clock.
    """

    version: int
    recording: str
    room: str
    state: str
    started_unix_ms: int
    opened_at: int
    opened_unix_ms: int
    ended_unix_ms: int = 0
    abandoned: bool = False
    instance: str = ""
    placement: int = 0


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """A finished file. Its first frame is `start_ms` after the start of the recording; gaps are kept within it."""

    key: str
    codec: str
    start_ms: int
    duration_ms: int
    bytes: int
    sha256: str
    frames: int
    width: int = 0
    height: int = 0


class ManifestSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed segment. Its first frame is `start_ms` after the start of the recording."""

    key: str
    bytes: int
    sha256: str
    start_ms: int | None = None


class ManifestTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded track. `lost_packets` were never received; `muted` holds (from, to) in ms of the recording."""

    track: str
    participant: str
    name: str
    source: str
    media: str
    codec: str
    start_ms: int
    duration_ms: int
    files: list[ManifestFile]
    segments: list[ManifestSegment]
    lost_packets: int = 0
    muted: list[tuple[int, int]] = []


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A finished recording. `state` is ready, partial if received media could not be saved, or empty if nothing was
    received. `problems` also lists harmless ones, such as a wrong clock.
    """

    version: int
    recording: str
    room: str
    state: str
    started_unix_ms: int
    ended_unix_ms: int
    duration_ms: int
    bytes: int
    instance: str
    tracks: list[ManifestTrack]
    problems: list[str] = []


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest; raises ValueError for anything else, including an unknown version."""
    manifest = msgspec.json.decode(data, type=Manifest)
    if manifest.version != VERSION:
        raise ValueError(f"manifest of version {manifest.version}")
    return manifest


def decode_info(data: bytes) -> RecordingInfo:
    """Return the content of `recording.json`; raises ValueError for anything else."""
    info = msgspec.json.decode(data, type=RecordingInfo)
    if info.version != VERSION:
        raise ValueError(f"recording.json of version {info.version}")
    return info


def read_manifest(recording: Path, files: Files = PLAIN) -> Manifest | None:
    """Return the recording's manifest, None if it has none. Raises ValueError if it is not one, OSError."""
    try:
        return decode_manifest(files.read(recording / MANIFEST_NAME))
    except FileNotFoundError:
        return None


def read_info(recording: Path) -> RecordingInfo | None:
    """Return the recording's `recording.json`, None if it has none. Raises ValueError if it is not one."""
    try:
        return decode_info((recording / INFO_NAME).read_bytes())
    except FileNotFoundError:
        return None


def write_manifest(
    recording: Path, manifest: Manifest, sign: Callable[[bytes], bytes] | None = None, files: Files = PLAIN
) -> None:
    """Commit the recording, after its signature if there is one. Raises OSError if the disk refuses."""
    data = encode_manifest(manifest)
    if sign is not None:
        _replace(recording / SIGNATURE_NAME, sign(data), durably=True)
    _replace(recording / MANIFEST_NAME, files.sealed(data), durably=True)


def write_info(recording: Path, info: RecordingInfo) -> None:
    """Write `recording.json` so that it survives a kill; `sync_info` makes it survive a power loss. Raises OSError."""
    _replace(recording / INFO_NAME, msgspec.json.format(msgspec.json.encode(info), indent=1), durably=False)


def sync_info(recording: Path) -> None:
    """Sync `recording.json`, and the directories that lead to it, to disk. Raises OSError."""
    with (recording / INFO_NAME).open("rb") as file:
        os.fsync(file.fileno())
    sync_directory(recording)
    sync_directory(recording.parent)


def _replace(path: Path, data: bytes, *, durably: bool) -> None:
    """Write `data` to `path` so that a kill leaves the old or the new content, never a part. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        if durably:
            os.fsync(file.fileno())
    temporary.replace(path)
    if durably:
        sync_directory(path.parent)
