"""Recordings in the object store: manifests and the files listed in them.

Keys begin with the recording's id. Only the files listed in a committed manifest and the composed film are served.
"""

import asyncio
import re
import shutil
from pathlib import Path, PurePosixPath

import msgspec

from control.files.media_store import unavailable
from control.problem import Problem, not_found
from objects.threads import Objects

_MIN_FREE_BYTES = 512 * 1024 * 1024
_CONTENT_TYPES = {
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".json": "application/json",
    ".mp4": "video/mp4",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt; charset=utf-8",
}
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
_COMPOSED = re.compile(r"(composed-[0-9]{1,12}|film-[a-z0-9_]{1,64}-[0-9]{1,6})\.(mp4|webm|m4a|mp3|jpg|vtt)")
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
HOLD = "legal.hold"


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
    """The part of `manifest.json` that control reads; other fields are internal to the recorder.

    `instance` is the recorder that finished it.
    """

    instance: str = ""
    tracks: list[ManifestTrack] = []


def film_files(name: str) -> tuple[str, str, str]:
    """Return the names of a film and of the two files of its storyboard."""
    stem = name.rpartition(".")[0]
    return name, f"{stem}.jpg", f"{stem}.vtt"


class Archive:
    """Store of recordings, and the disk that they are written to first."""

    def __init__(self, objects: Objects, disk: Path) -> None:
        self.objects = objects
        self._disk = disk

    async def check_room(self) -> None:
        """Raise Problem 503 or 507, with the reason, if a recording cannot be stored."""
        if (trouble := await self.trouble()) is not None:
            raise trouble

    async def trouble(self) -> Problem | None:
        """Return why no recording can be stored at the moment, or None if one can."""
        try:
            await self.objects.check()
        except OSError as error:
            what = "The object store" if self.objects.store.name == "s3" else "The recordings directory"
            detail = f"{what} cannot be used: {str(error) or 'it does not answer in time'}."
            return Problem(503, "recordings_unavailable", detail)
        try:
            free = (await self.room())[0]
        except OSError:
            return Problem(503, "recordings_unavailable", "The recordings directory cannot be used.")
        if free is not None and free < _MIN_FREE_BYTES:
            left = f"{free // 1_000_000} MB are free, {_MIN_FREE_BYTES // 1_000_000} MB are required"
            return Problem(507, "no_space", f"There is not enough disk space for a recording: {left}.")
        return None

    async def detail_of_trouble(self) -> str | None:
        """Return the result of `trouble` as a sentence."""
        found = await self.trouble()
        return None if found is None else found.detail

    async def free(self) -> int | None:
        """Return the free bytes of the recordings' store, or None if it does not report them."""
        try:
            room = await self.objects.room()
        except OSError:
            return None
        return None if room is None else room.free

    async def room(self) -> tuple[int | None, int | None]:
        """Return the free and total bytes of the disk of recordings; None if it is on another machine."""
        return await asyncio.to_thread(_disk_room, self._disk)

    async def manifest(self, recording: str) -> Manifest:
        """Return the committed manifest; raises Problem 404 while there is none, 502 if it cannot be read."""
        try:
            data = await self.objects.get(f"{_checked(recording)}/{MANIFEST}")
        except FileNotFoundError as error:
            raise not_found("This recording has no files yet.") from error
        except OSError as error:
            raise unavailable(error) from error
        try:
            return msgspec.json.decode(data, type=Manifest)
        except msgspec.DecodeError as error:
            raise Problem(502, "manifest_unreadable", "The recording's manifest cannot be read.") from error

    async def file(self, recording: str, name: str) -> tuple[str, str]:
        """Return the key and content type of a file in the manifest, its signature, a film or its storyboard."""
        if name not in {MANIFEST, SIGNATURE} and not _COMPOSED.fullmatch(name):
            manifest = await self.manifest(recording)
            if name not in {within(recording, file.key) for track in manifest.tracks for file in track.files}:
                raise not_found("This recording has no such file.")
        key = f"{_checked(recording)}/{name}"
        try:
            await self.objects.info(key)
        except (FileNotFoundError, ValueError) as error:
            raise not_found("This recording has no such file.") from error
        except OSError as error:
            raise unavailable(error) from error
        return key, content_type(name)

    async def remove_film(self, recording: str, name: str) -> None:
        """Delete a film with its storyboard; a missing one is no error."""
        for one in film_files(name):
            await self.objects.remove(f"{_checked(recording)}/{one}")

    async def set_hold(self, recording: str, hold: str | None) -> None:
        """Note a legal hold beside the files, so that it survives the loss of the database; raises Problem 503."""
        key = f"{_checked(recording)}/{HOLD}"
        try:
            if hold is None:
                await self.objects.remove(key)
            else:
                await self.objects.put(key, hold.encode())
        except OSError as error:
            raise unavailable(error) from error

    async def note_hold(self, recording: str, hold: str) -> None:
        """Note a hold that an earlier release placed, which did not note it; raises Problem 503."""
        try:
            await self.objects.info(f"{_checked(recording)}/{HOLD}")
        except FileNotFoundError:
            await self.set_hold(recording, hold)
        except OSError as error:
            raise unavailable(error) from error

    async def remove(self, recording: str) -> None:
        """Delete a recording from store and disk; a missing one is no error."""
        await self.objects.remove_all(f"{_checked(recording)}/")
        await self.objects.remove(f"_open/{recording}.json")
        await asyncio.to_thread(_remove_from_disk, self._disk, recording)


def _remove_from_disk(disk: Path, recording: str) -> None:
    """Delete the recorders' files of a recording and its film, if their disk is on this machine."""
    for directory in (disk / recording, *disk.glob(f".composing/*/{recording}")):
        shutil.rmtree(directory, ignore_errors=True)


def _checked(recording: str) -> str:
    if not _IDENTIFIER.fullmatch(recording):
        raise not_found("This recording does not exist.")
    return recording


def _disk_room(disk: Path) -> tuple[int | None, int | None]:
    here = next(one for one in (disk, *disk.parents) if one.exists())
    usage = shutil.disk_usage(here)
    return usage.free, usage.total


def content_type(name: str) -> str:
    return _CONTENT_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")


def within(recording: str, key: str) -> str:
    """Return a file's key relative to its recording."""
    return key.removeprefix(f"{recording}/")


def download_name(track: ManifestTrack, key: str) -> str:
    """Return a file name for a track that is safe in any file system and header."""
    speaker = re.sub(r"[^\w .-]+", "_", track.name or track.participant).strip(" .") or "participant"
    stem, _, suffix = key.rpartition("/")[2].partition(".")
    return f"{speaker[:60]} - {track.source or 'track'} - {stem[-6:]}.{suffix}"
