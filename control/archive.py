"""Recordings on disk: what the manifest says, and the files that it names.

Only what a committed manifest names is served; paths are resolved below the recording's own directory.
"""

import asyncio
import shutil
from pathlib import Path

import msgspec

from control.problem import Problem, not_found

_MIN_FREE_BYTES = 512 * 1024 * 1024
_CONTENT_TYPES = {".webm": "video/webm", ".mkv": "video/x-matroska", ".json": "application/json", ".mp4": "video/mp4"}


class ManifestTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A track in a manifest. Unknown fields are the recorder's own business."""

    track: str
    participant: str
    name: str = ""
    source: str = ""
    codec: str = ""
    start_ms: int = 0
    duration_ms: int = 0
    files: list[str] = []


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What control reads of `manifest.json`."""

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
            data = await asyncio.to_thread((self._directory(recording) / "manifest.json").read_bytes)
        except FileNotFoundError as error:
            raise not_found("This recording has no files yet.") from error
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.DecodeError as error:
            raise Problem(502, "manifest_unreadable", "The recording's manifest cannot be read.") from error

    async def file(self, recording: str, name: str) -> tuple[Path, str]:
        """Return the path and content type of a file that the manifest names, or of the manifest itself."""
        manifest = await self.manifest(recording)
        named = {relative(recording, file) for track in manifest.tracks for file in track.files}
        if name not in named and name != "manifest.json":
            raise not_found("This recording has no such file.")
        directory = self._directory(recording).resolve()
        path = (directory / name).resolve()
        if not path.is_relative_to(directory) or not await asyncio.to_thread(path.is_file):
            raise not_found("This recording has no such file.")
        return path, _CONTENT_TYPES.get(path.suffix, "application/octet-stream")

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
        if not recording.replace("_", "").isalnum():
            raise not_found("This recording does not exist.")
        return self._root / recording


def relative(recording: str, file: str) -> str:
    """Return a manifest's file relative to its recording, whichever of the two roots it was written against."""
    return file.removeprefix(f"{recording}/")
