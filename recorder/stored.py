"""A recording in the object store: its keys, and its recovery after the loss of the disk.

    {recording}/recording.keys/{id}.key               the key of an encrypted recording, before all of its files
    {recording}/{track}/{epoch}-{n}.webm|.mkv|.jnl   a closed segment, and after it its journal
    {recording}/{track}.webm|.mp4                     finished files
    {recording}/manifest.sig                          its signature
    {recording}/manifest.json                         the commit, after everything else
    _open/{recording}.json                            recording.json, from the start until control knows the manifest

All functions block, and raise OSError if the store or the disk refuses.
"""

import logging
from pathlib import Path

import msgspec

from objects import recording_keys
from objects.store import ObjectInfo, ObjectStore
from recorder import layout, manifest
from recorder.leases import ORPHANED_SECONDS
from recorder.manifest import Manifest, RecordingInfo

_log = logging.getLogger(__name__)

OPEN = "_open/"


def open_key(recording: str) -> str:
    """Return the key that marks a recording as unfinished."""
    return f"{OPEN}{layout.identifier(recording)}.json"


def note(store: ObjectStore, info: RecordingInfo) -> None:
    """Store `recording.json`, so that the recording can be found without its disk."""
    store.put(open_key(info.recording), msgspec.json.encode(info))


def commit(store: ObjectStore, root: Path, finished: Manifest) -> None:
    """Store the files that are only on this disk: segments, journals, finished files, and last the manifest."""
    directory = layout.recording_dir(root, finished.recording)
    there = {found.key: found.size for found in store.list(f"{finished.recording}/")}
    segments = {segment.key: segment.sha256 for track in finished.tracks for segment in track.segments}
    hashes = segments | {file.key: file.sha256 for track in finished.tracks for file in track.files}
    put_keys(store, root, finished.recording)
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        key = layout.key(root, path)
        is_journal = path.suffix == layout.JOURNAL_SUFFIX
        if not (is_journal or key in hashes) or (key in segments and there.get(key) == path.stat().st_size):
            continue
        if not is_journal or there.get(key) != path.stat().st_size:
            store.put_file(key, path, sha256=hashes.get(key, ""))
    signature = directory / layout.SIGNATURE_NAME
    if signature.exists():
        store.put(layout.key(root, signature), signature.read_bytes())
    store.put_file(layout.key(root, directory / layout.MANIFEST_NAME), directory / layout.MANIFEST_NAME)


def put_keys(store: ObjectStore, root: Path, recording: str) -> None:
    """Store the keys of an encrypted recording; they must not be lost with this disk."""
    directory = layout.recording_dir(root, recording) / recording_keys.DIRECTORY
    for path in sorted(directory.glob(f"*{recording_keys.SUFFIX}")):
        key = layout.key(root, path)
        try:
            store.info(key)
        except FileNotFoundError:  # or it may have been wrapped again since
            store.put_file(key, path)


def shed(root: Path, finished: Manifest) -> None:
    """Delete media from this disk that are in the store; journals stay in case the recording continues."""
    for track in finished.tracks:
        for key in (*(segment.key for segment in track.segments), *(file.key for file in track.files)):
            layout.path_of_key(root, key).unlink(missing_ok=True)


def restore(store: ObjectStore, root: Path, instance: str, now: float) -> list[str]:
    """Fetch what this disk lacks of unfinished recordings; return them. They are those that `instance` began, and
    those that nobody has added to for long. `now` is in Unix seconds.
    """
    restored = []
    for found in store.list(OPEN):
        recording = Path(found.key).stem
        try:
            info = manifest.decode_info(store.read(found.key, 0, found.size, found.tag))
            directory = layout.recording_dir(root, recording)
        except ValueError as error:
            _log.error("%s is damaged: %s", found.key, error)
            continue
        if info.recording != recording or (directory / layout.INFO_NAME).exists():
            continue
        objects = [*store.list(f"{recording}/")]
        youngest = max(one.modified for one in (found, *objects))
        if info.instance != instance and now - youngest < ORPHANED_SECONDS:
            continue
        info = msgspec.structs.replace(info, instance=instance)
        note(store, info)
        _fetch(store, root, objects, (layout.JOURNAL_SUFFIX, layout.MANIFEST_NAME, recording_keys.SUFFIX))
        directory.mkdir(parents=True, exist_ok=True)
        manifest.write_info(directory, info)
        _log.warning("recording %s was fetched back from the object store", recording)
        restored.append(recording)
    return restored


def fetch_journals(store: ObjectStore, root: Path, recording: str) -> None:
    """Fetch the journals and keys that this disk lacks."""
    _fetch(
        store, root, [*store.list(f"{layout.identifier(recording)}/")], (layout.JOURNAL_SUFFIX, recording_keys.SUFFIX)
    )


def _fetch(store: ObjectStore, root: Path, objects: list[ObjectInfo], suffixes: tuple[str, ...]) -> None:
    for found in objects:
        path = layout.path_of_key(root, found.key)
        if found.key.endswith(suffixes) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            store.fetch(found.key, path)
