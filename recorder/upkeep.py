"""Upkeep of finished recordings: their segments stay for a while, in case the recording continues, then are deleted."""

import asyncio
import logging
import shutil
import time
from pathlib import Path

import msgspec

from objects.recording_keys import OperatorKeys
from objects.sealed_file import files_of
from objects.store import ObjectStore
from recorder import layout, manifest
from recorder.config import RecorderConfig
from recorder.recordings import CLOSED
from recorder.uploads import Uploads

_log = logging.getLogger(__name__)

_EVERY_SECONDS = 600.0


async def run(config: RecorderConfig, uploads: Uploads) -> None:
    """Maintain finished recordings until cancelled."""
    store = None if uploads.objects is None else uploads.objects.store
    while True:
        root, hours, operator = config.recordings_dir, config.keep_segments_hours, config.operator_keys
        await asyncio.to_thread(close_finished, root, hours, store, time.time(), operator)
        await asyncio.sleep(_EVERY_SECONDS)


def close_finished(
    root: Path,
    hours: float,
    store: ObjectStore | None,
    now: float,
    operator: OperatorKeys = OperatorKeys(),  # noqa: B008  immutable
) -> list[str]:
    """Delete the segments of complete recordings that ended `hours` ago and that control knows; return them.

    A partial recording keeps them, because they may contain media that its finished files lack.
    """
    closed = []
    for directory in sorted(path.parent for path in root.glob(f"*/{layout.REPORTED_NAME}")):
        try:
            info = manifest.read_info(directory)
            if info is None or info.state != "sealing" or now - info.ended_unix_ms / 1000 < hours * 3600:
                continue
            finished = manifest.read_manifest(directory, files_of(directory, operator))
            if finished is None or finished.state != "ready":
                continue
            manifest.write_info(directory, msgspec.structs.replace(info, state=CLOSED))
            for track in layout.track_dirs(directory):
                if store is not None:
                    store.remove_all(f"{info.recording}/{track.name}/")
                shutil.rmtree(track)
        except (OSError, ValueError) as error:
            _log.error("cannot delete the segments of %s: %s", directory.name, error)
            continue
        closed.append(directory.name)
    return closed
