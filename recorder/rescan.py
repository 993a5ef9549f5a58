"""List the recordings on disk: the files are the truth, any database of them an index that this rebuilds."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from recorder import layout
from recorder.manifest import Manifest, RecordingInfo, read_info, read_manifest


class FoundRecording(NamedTuple):
    """A recording on disk. `state` is recording, sealing, ready, partial, or damaged (neither document can be read).

    `manifest` is there once it is finished; `bytes` counts every file of the recording.
    """

    recording: str
    state: str
    info: RecordingInfo | None
    manifest: Manifest | None
    bytes: int
    problem: str


def rescan(root: Path) -> Iterator[FoundRecording]:
    """Yield every recording under the recordings directory `root`, by name. Writes nothing. OSError when unreadable."""
    if not root.is_dir():
        return
    for directory in sorted(root.iterdir()):
        try:
            layout.identifier(directory.name)
        except ValueError:
            continue
        if directory.is_dir():
            yield _look(directory)


def _look(directory: Path) -> FoundRecording:
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    info, manifest, problem = None, None, ""
    try:
        info = read_info(directory)
        manifest = read_manifest(directory)
    except ValueError as error:
        problem = str(error)
    if manifest is not None and not (info is not None and info.state == "recording"):
        state = manifest.state
    elif info is not None and not problem:
        state = info.state
    else:
        state, problem = "damaged", problem or "no recording.json"
    return FoundRecording(directory.name, state, info, manifest, size, problem)
