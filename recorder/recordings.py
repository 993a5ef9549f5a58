"""The unfinished recordings of this machine: their states, and the points where they continue."""

import logging
import time
from pathlib import Path

import msgspec

from objects.recording_keys import OperatorKeys
from objects.sealed_file import PLAIN, Files, files_of
from recorder import layout, leases, manifest, metrics, recovery
from recorder.manifest import Manifest, RecordingInfo
from recorder.recovery import ResumePoint, StreamId
from recorder.trouble import Trouble, sentence
from sfu.api.sink_records import RecordingEnded, RecordingStarted

_log = logging.getLogger(__name__)

WAITING = "waiting"  # waits for the sfu to announce that it continues or has ended
CAPTURING = "capturing"
SEALING = "sealing"
CLOSED = "closed"


class Recording:
    """An unfinished recording. `problems` counts failures to save received media."""

    def __init__(self, directory: Path, info: RecordingInfo, files: Files = PLAIN) -> None:
        self.directory = directory
        self.files = files
        self.info = info
        self.state = SEALING if info.state == "sealing" else WAITING
        self.waiting_since: float | None = None
        self.shared = False  # shared with the recorder of another node that also has the room
        self.epoch = 0
        self.resume: dict[StreamId, ResumePoint] = {}
        self.problems = 0
        self.trouble = Trouble()
        self.holders: set[object] = set()  # the captures that record it: several if its room is on several nodes
        self.released = False  # released by the previous node, for the next one


class OldPlacement(ValueError):
    """Another node has the recording's room now."""


class Recordings:
    """All unfinished recordings under `root`. `load` raises OSError if `root` cannot be used."""

    def __init__(self, root: Path, instance: str = "", operator: OperatorKeys = OperatorKeys()) -> None:  # noqa: B008
        self.root = root
        self.operator = operator
        self._instance = instance
        self._all: dict[str, Recording] = {}
        self._renewed_at = time.time()

    def load(self) -> list[Manifest]:
        """Seal what an earlier process left unfinished; return the finished ones that control may not know. Recordings
        of other recorders are left alone.
        """
        finished = [self.adopt(directory) for directory in self._directories()]
        return [manifest for manifest in finished if manifest is not None]

    def _directories(self) -> list[Path]:
        return sorted(path for path in self.root.iterdir() if (path / layout.INFO_NAME).exists())

    def renew(self, now: float) -> list[str]:
        """Renew the leases; return the recordings that another recorder owns now. Blocks. `now`: Unix seconds."""
        lapsed = now - self._renewed_at >= leases.ORPHANED_SECONDS
        self._renewed_at = now
        lost = []
        for name, recording in list(self._all.items()):
            try:
                if (lapsed and not self._is_ours(recording)) or self._taken_over(recording):
                    lost.append(name)
                else:
                    leases.renew(recording.directory)
            except OSError as error:
                _log.warning("recording %s: its lease cannot be renewed: %s", name, error)
        return lost

    def take_over(self, now: float) -> list[str]:
        """Take over abandoned unfinished recordings; return their names, for `adopt`. Blocks."""
        taken = []
        for directory in self._directories():
            if (directory / layout.REPORTED_NAME).exists():
                continue
            try:
                if leases.take_over(directory, self._instance, now):
                    taken.append(directory.name)
            except OSError as error:
                _log.warning("recording %s cannot be taken over: %s", directory.name, error)
        return taken

    def lose(self, name: str) -> None:
        """Drop a recording that another recorder has taken over."""
        recording = self._all.get(name)
        if recording is not None:
            recording.holders.clear()
            self._forget(name)

    def adopt(self, directory: Path) -> Manifest | None:
        """Take in a recording's directory, if this recorder owns it. Returns its manifest if it is finished and control
        may not know it.
        """
        try:
            info = manifest.read_info(directory)
            if info is None or info.recording != directory.name or info.state == CLOSED:
                return None
            if info.instance != self._instance:
                return None
            files = files_of(directory, self.operator)
            if info.state == "sealing" and (directory / layout.MANIFEST_NAME).exists():
                reported = (directory / layout.REPORTED_NAME).exists()
                return None if reported else manifest.read_manifest(directory, files)
        except (ValueError, OSError) as error:
            _log.error("recording %s cannot be read: %s", directory.name, error)
            return None
        self._all[info.recording] = _recovered(directory, info, files)
        self._count()
        return None

    def known(self, name: str) -> Recording | None:
        """Return an unfinished recording."""
        return self._all.get(name)

    def unfinished(self) -> list[Recording]:
        """Return all unfinished recordings, by name."""
        return [recording for _, recording in sorted(self._all.items())]

    def begin(self, begun: RecordingStarted, holder: object) -> tuple[Recording, bool]:
        """Begin an epoch of a recording; return it, and whether it is new. ValueError for an invalid id. `holder`
        captures it from now on, beside others of the same placement: a room on several nodes is recorded by each of
        them. OldPlacement when another node got the room later.
        """
        directory = layout.recording_dir(self.root, begun.recording)
        recording = self._all.get(begun.recording)
        is_new = False
        if recording is None:
            info = _kept_info(directory, begun.recording)
            is_new = info is None
            shared = info is not None and self._is_shared(directory, info, begun)
            info = info or _new_info(begun, self._instance)
            files = files_of(directory, self.operator, is_new=is_new)
            recording = _joined(directory, info, files) if shared else _recovered(directory, info, files)
        if begun.placement < recording.info.placement:
            raise OldPlacement(f"recording {begun.recording} continues on another node")
        info = msgspec.structs.replace(
            recording.info,
            state="recording",
            ended_unix_ms=0,
            abandoned=False,
            instance=recording.info.instance if recording.shared else self._instance,
            placement=begun.placement,
        )
        if is_new or info != recording.info:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                (directory / layout.REPORTED_NAME).unlink(missing_ok=True)
                manifest.write_info(directory, info)
            except OSError as error:  # capture will retry, and report a failure
                _refused(recording, error)
        if begun.placement > recording.info.placement:
            recording.holders.clear()
        recording.info, recording.state, recording.waiting_since = info, CAPTURING, None
        recording.epoch += 1
        recording.holders.add(holder)
        recording.released = False
        self._all[begun.recording] = recording
        self._count()
        return recording, is_new

    def end(self, name: str, abandoned: bool = False) -> Recording | None:
        """Mark a recording as ended, even on a full disk; return it if there is one to finish."""
        recording = self._all.get(name)
        if recording is None or recording.state == SEALING:
            return None
        if self._taken_over(recording):
            self._forget(name)
            return None
        info = msgspec.structs.replace(
            recording.info, state="sealing", ended_unix_ms=time.time_ns() // 1_000_000, abandoned=abandoned
        )
        recording.info, recording.state = info, SEALING
        self._count()
        try:
            recording.directory.mkdir(parents=True, exist_ok=True)
            manifest.write_info(recording.directory, info)
        except OSError as error:
            _refused(recording, error)
        return recording

    def detach(self, holder: object) -> None:
        """Note that an sfu is disconnected: its recordings wait for it, or for another."""
        for recording in self._all.values():
            recording.waiting_since = None
            recording.holders.discard(holder)
            if not recording.holders and recording.state == CAPTURING:
                recording.state = WAITING
        self._count()

    def release(self, name: str, holder: object) -> None:
        """Release a recording whose room moved to another node; this or another recorder continues it."""
        recording = self._all.get(name)
        if recording is not None and holder in recording.holders:
            recording.holders.discard(holder)
            if not recording.holders:
                recording.state, recording.waiting_since, recording.released = WAITING, None, True
        self._count()

    def part(self, name: str, holder: object) -> None:
        """Note that one of several nodes with a recording's room has ended it."""
        recording = self._all.get(name)
        if recording is not None:
            recording.holders.discard(holder)

    def may_end(self, ended: RecordingEnded, holder: object) -> bool:
        """Return True if a node may end a recording: not if another node also has it, or will get it."""
        recording = self._all.get(ended.recording)
        if recording is None:
            return True
        if recording.holders:
            return recording.holders == {holder}
        if recording.released:
            return False
        return ended.placement >= recording.info.placement

    def _is_ours(self, recording: Recording) -> bool:
        found = _found_info(recording.directory)
        return found is None or found.instance == self._instance

    def _is_shared(self, directory: Path, info: RecordingInfo, begun: RecordingStarted) -> bool:
        """Return True if another recorder may add to a recording, from a node that also has the room."""
        return (
            (info.state, info.placement) == ("recording", begun.placement)
            and info.instance != self._instance
            and not leases.is_orphaned(directory, time.time())
        )

    def _taken_over(self, recording: Recording) -> bool:
        """Return True if a recorder on the same directory continues it for a node that got the room later."""
        found = _found_info(recording.directory)
        return found is not None and found.placement > recording.info.placement

    def _forget(self, name: str) -> None:
        _log.info("recording %s belongs to another recorder now", name)
        del self._all[name]
        self._count()

    def overdue(self, now: float, seconds: float) -> list[str]:
        """Return the recordings that the attached sfu has not announced for `seconds`."""
        names = []
        for name, recording in self._all.items():
            if recording.state != WAITING:
                continue
            if recording.waiting_since is None:
                recording.waiting_since = now
            if now - recording.waiting_since >= seconds:
                names.append(name)
        return names

    def finished(self, name: str) -> None:
        """Forget a recording whose manifest was committed, unless it has begun again since."""
        recording = self._all.get(name)
        if recording is not None and recording.state == SEALING:
            del self._all[name]
        self._count()

    def _count(self) -> None:
        for state in (WAITING, CAPTURING, SEALING):
            metrics.RECORDINGS.labels(state).set(sum(r.state == state for r in self._all.values()))


def _found_info(directory: Path) -> RecordingInfo | None:
    try:
        return manifest.read_info(directory)
    except (ValueError, OSError):
        return None


def _kept_info(directory: Path, name: str) -> RecordingInfo | None:
    """Return the state on disk of a recording that continues; raises ValueError if it cannot."""
    try:
        info = manifest.read_info(directory)
    except (ValueError, OSError) as error:
        _log.error("recording %s cannot be continued and starts from the beginning: %s", name, error)
        return None
    if info is not None and info.state == CLOSED:
        raise ValueError(f"recording {name} is closed")
    return info


def _joined(directory: Path, info: RecordingInfo, files: Files) -> Recording:
    """Return a recording to which another recorder adds; the other's files are not touched."""
    recording = Recording(directory, info, files)
    recording.shared = True
    try:
        recording.epoch = layout.last_epoch(directory)
    except OSError as error:
        _refused(recording, error)
    return recording


def _recovered(directory: Path, info: RecordingInfo, files: Files) -> Recording:
    """Return a recording with its state on disk. If the disk refuses, it continues as if there were none."""
    recording = Recording(directory, info, files)
    if directory.exists():
        try:
            recovery.seal(directory, recovery.RECENT, files)
            recording.epoch = layout.last_epoch(directory)
            recording.resume = recovery.resume_points(directory, files)
        except OSError as error:
            _refused(recording, error)
    return recording


def _refused(recording: Recording, error: OSError) -> None:
    recording.problems += 1
    recording.trouble.refused(sentence(error), time.monotonic_ns())
    _log.error("recording %s: %s", recording.info.recording, error)
    metrics.DISK_ERRORS.labels(metrics.name_of(error)).inc()


def _new_info(begun: RecordingStarted, instance: str) -> RecordingInfo:
    return RecordingInfo(
        version=manifest.VERSION,
        recording=begun.recording,
        room=begun.room,
        state="recording",
        started_unix_ms=begun.started_unix_ms,
        opened_at=begun.opened_at,
        opened_unix_ms=begun.opened_unix_ms,
        instance=instance,
    )
