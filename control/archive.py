"""Recordings on disk: what a manifest says, and the files that it names.

Keys are relative to the recordings directory and begin with the recording's id. Only what a committed manifest names
is served; paths are resolved below the recording's own directory.
"""

import asyncio
import re
import shutil
from pathlib import Path

import msgspec

from control.problem import Problem, not_found

_MIN_FREE_BYTES = 512 * 1024 * 1024
_CONTENT_TYPES = {".webm": "video/webm", ".mkv": "video/x-matroska", ".json": "application/json", ".mp4": "video/mp4"}
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
MANIFEST = "manifest.json"


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """A finished file; `start_ms` is since the start of the recording."""

    key: str
    codec: str = ""
    start_ms: int = 0
    duration_ms: int = 0
    bytes: int = 0
    sha256: str = ""


class ManifestTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded track."""

    track: str
    participant: str
    name: str = ""
    source: str = ""
    codec: str = ""
    start_ms: int = 0
    duration_ms: int = 0
    files: list[ManifestFile] = []


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What control reads of `manifest.json`; the recorder's other fields are its own business."""

    tracks: list[ManifestTrack] = []


class Archive:
    """The recordings directory of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def check_room(self) -> None:
        """Raise Problem 503 or 507 when a recording cannot be kept here."""
        try:
            free = await asyncio.to_thread(self._free)
        except OSError as error:
            raise Problem(503, "recordings_unavailable", "The recordings directory cannot be used.") from error
        if free < _MIN_FREE_BYTES:
            raise Problem(507, "no_space", "There is not enough room left for a recording.")

    async def manifest(self, recording: str) -> Manifest:
        """Return the committed manifest; raises Problem 404 while there is none, 502 when it cannot be read."""
        try:
            data = await asyncio.to_thread((self._directory(recording) / MANIFEST).read_bytes)
        except FileNotFoundError as error:
            raise not_found("This recording has no files yet.") from error
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.DecodeError as error:
            raise Problem(502, "manifest_unreadable", "The recording's manifest cannot be read.") from error

    async def file(self, recording: str, name: str) -> tuple[Path, str]:
        """Return path and content type of a file that the manifest names, by its key within the recording."""
        manifest = await self.manifest(recording)
        named = {within(recording, file.key) for track in manifest.tracks for file in track.files}
        if name not in named and name != MANIFEST:
            raise not_found("This recording has no such file.")
        directory = self._directory(recording).resolve()
        path = (directory / name).resolve()
        if not path.is_relative_to(directory) or not await asyncio.to_thread(path.is_file):
            raise not_found("This recording has no such file.")
        return path, content_type(path)

    async def remove(self, recording: str) -> None:
        """Delete a recording's files; none is no error."""
        directory = self._directory(recording)
        try:
            await asyncio.to_thread(shutil.rmtree, directory)
        except FileNotFoundError:
            return

    def _free(self) -> int:
        self._root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self._root).free

    def _directory(self, recording: str) -> Path:
        if not _IDENTIFIER.fullmatch(recording):
            raise not_found("This recording does not exist.")
        return self._root / recording


def content_type(path: Path) -> str:
    return _CONTENT_TYPES.get(path.suffix, "application/octet-stream")


def within(recording: str, key: str) -> str:
    """Return a file's key relative to its recording."""
    return key.removeprefix(f"{recording}/")


def download_name(track: ManifestTrack, key: str) -> str:
    """Return a name for the file of a track that is safe in any file system and header."""
    speaker = re.sub(r"[^\w .-]+", "_", track.name or track.participant).strip(" .") or "participant"
    stem, _, suffix = key.rpartition("/")[2].partition(".")
    return f"{speaker[:60]} - {track.source or 'track'} - {stem[-6:]}.{suffix}"
