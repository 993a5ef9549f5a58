"""Lists the recordings in a store. The files are authoritative; this rebuilds the database, which is their index."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from foundation.film_options import FilmOptions
from objects.recording_keys import KeyMissing
from objects.sealed_format import NotAuthentic
from objects.sealed_store import SealedStore
from objects.store import ObjectInfo, read_all
from recorder import layout, stored
from recorder.compose.scenes import Chapter, film_chapters
from recorder.manifest import Manifest, RecordingInfo, decode_info, decode_manifest

_FILM = re.compile(r"composed-([0-9]{1,12})\.mp4")


class FoundFilm(NamedTuple):
    """The composed film; `storyboard` is the name of its WebVTT file."""

    file: str
    bytes: int
    storyboard: str | None
    chapters: list[Chapter]


class FoundRecording(NamedTuple):
    """A recording. `state` is recording, sealing, ready, partial, or damaged (neither document can be read).

    `manifest` is None until it is finished; `bytes` is the total of its files; `film` is the
    composition, `hold` who placed a legal hold (`host` or `admin`), "" if nobody did.
    """

    recording: str
    state: str
    info: RecordingInfo | None
    manifest: Manifest | None
    bytes: int
    problem: str
    film: FoundFilm | None = None
    hold: str = ""


def rescan(store: SealedStore) -> Iterator[FoundRecording]:
    """Yield every recording in a store, by name. Writes nothing. Raises OSError if unreadable."""
    names = set(store.directories()) | {found.key[len(stored.OPEN) :].removesuffix(".json") for found in _open(store)}
    for name in sorted(names - {stored.OPEN.rstrip("/")}):
        try:
            layout.identifier(name)
        except ValueError:
            continue
        yield _look(store, name)


def _open(store: SealedStore) -> list[ObjectInfo]:
    return [*store.list(stored.OPEN)]


def _look(store: SealedStore, name: str) -> FoundRecording:
    found = {one.key: one for one in store.list(f"{name}/")}
    info, manifest, problem = None, None, ""
    try:
        # On a disk, unfinished recordings are those with a recording.json.
        for key in (stored.open_key(name), f"{name}/{layout.INFO_NAME}"):
            if info is None and (data := _read(store, key)) is not None:
                info = decode_info(data)
        if f"{name}/{layout.MANIFEST_NAME}" in found:
            manifest = decode_manifest(_read(store, f"{name}/{layout.MANIFEST_NAME}") or b"")
    except (ValueError, KeyMissing, NotAuthentic) as error:
        problem = str(error)
    if manifest is not None and not (info is not None and info.state == "recording"):
        state = manifest.state
    elif info is not None and not problem:
        state = info.state
    else:
        state, problem = "damaged", problem or "no recording.json"
    size = sum(one.size for one in found.values())
    files = {key.removeprefix(f"{name}/"): one for key, one in found.items()}
    film = None if manifest is None else _film(store, files, manifest)
    held = _read(store, f"{name}/{layout.HOLD_NAME}") if layout.HOLD_NAME in files else None
    return FoundRecording(name, state, info, manifest, size, problem, film, (held or b"").decode(errors="replace"))


def _film(store: SealedStore, files: Mapping[str, ObjectInfo], manifest: Manifest) -> FoundFilm | None:
    """Return the newest composed film."""
    films = sorted(name for name in files if _FILM.fullmatch(name))
    if not films:
        return None
    storyboard = f"{films[-1].removesuffix('.mp4')}.vtt"
    return FoundFilm(
        films[-1],
        store.info(files[films[-1]].key).size,
        storyboard if storyboard in files else None,
        film_chapters(manifest, FilmOptions()),
    )


def _read(store: SealedStore, key: str) -> bytes | None:
    try:
        return read_all(store, key)
    except FileNotFoundError:
        return None
