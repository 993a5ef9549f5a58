"""`parley recording`: restore recordings in the database from their files, verify one, or wrap their keys again."""

import argparse
import asyncio
import sys
from collections.abc import Iterator

import asyncpg
import msgspec

from control.recordings.rescan import take
from control.store.recordings import Film, Found, Hold, Segment, State
from foundation.settings import Settings
from objects.opening import open_recordings
from objects.recording_keys import rewrap
from objects.sealed_store import SealedStore
from parley.part_configs import embedded_postgres, operator_keys, s3_config
from recorder import signing
from recorder.rescan import FoundRecording
from recorder.rescan import rescan as files_of
from recorder.verification import Report, verify

_HOLDS: dict[str, Hold] = {"host": "host", "admin": "admin"}
_FINISHED: dict[str, State] = {"ready": "ready", "partial": "partial", "empty": "empty"}


def main(settings: Settings, arguments: argparse.Namespace) -> int:
    """Run an act; return the exit code."""
    act = getattr(arguments, "act", "")
    if act == "verify":
        return _verify(settings, arguments)
    return _rewrap(settings) if act == "rewrap" else rescan(settings)


def _store(settings: Settings) -> SealedStore:
    return open_recordings(s3_config(settings), settings["recordings_dir"], operator_keys(settings))


def _rewrap(settings: Settings) -> int:
    """Wrap the keys of all recordings with the newest key; return 1 if that failed for one."""
    operator = operator_keys(settings)
    if not operator.fingerprints:
        print("parley: recordings_keys is not set", file=sys.stderr)
        return 2
    store, count, failed = _store(settings).stored, 0, 0
    try:
        for recording in store.directories():
            try:
                count += rewrap(store, operator, recording)
            except OSError as error:
                failed += 1
                print(f"parley: {error}", file=sys.stderr)
    except OSError as error:
        print(f"parley: cannot list the recordings: {error}", file=sys.stderr)
        return 2
    print(f"{count} keys of recordings are now encrypted with {operator.fingerprints[0]}")
    if not failed:
        print("no recording needs an older key any more: remove it from recordings_keys, and restart")
    return 1 if failed else 0


def _verify(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the report; return 1 if the recording was changed, 2 if it cannot be checked."""
    root = settings["recordings_dir"]
    own = settings["recording_key"] or root / signing.DEFAULT_NAME
    try:
        key = arguments.public_key or own
        trusted = signing.public_key(key) if arguments.public_key or own.exists() else None
        report = verify(_store(settings), arguments.recording, trusted)
    except FileNotFoundError:
        print(f"parley: there is no finished recording {arguments.recording}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"parley: cannot verify: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)
    return 0 if report.holds else 1


def _print(report: Report) -> None:
    print(f"{report.recording}  {report.state}  {report.duration_ms / 1000:.3f} s  signature: {report.signature}")
    if report.signed_by:
        print(f"signed by {report.signed_by}")
    for problem in report.problems:
        print(f"note: {problem}")
    print(f"{'start s':>9} {'length s':>9} {'frames':>7} {'gap ms':>7}  {'codec':6} what")
    for file in report.files:
        print(
            f"{file.start_ms / 1000:9.3f} {file.duration_ms / 1000:9.3f} {file.frames:7} {file.gap_ms:7}  "
            f"{file.codec:6} {file.who} ({file.key.rpartition('/')[2]})"
        )
        for problem in file.problems:
            print(f"{'':12}{problem}")


def rescan(settings: Settings) -> int:
    """Rescan; return the exit code: 1 if a recording was found that cannot be listed."""
    dsn = settings["database_url"] or embedded_postgres(settings).dsn
    unlisted = 0

    def report(found: Found, known: bool) -> None:
        nonlocal unlisted
        unlisted += not known
        print(f"{found.recording}  {found.state}  {'' if known else f'meeting {found.meeting} is not in the database'}")

    def found() -> Iterator[Found]:
        nonlocal unlisted
        for one in files_of(_store(settings)):
            row = _row(one)
            if row is None:
                unlisted += 1
                print(f"{one.recording}  {one.state}  {one.problem}")
            else:
                yield row

    try:
        asyncio.run(take(dsn, found(), report))
    except (OSError, asyncpg.PostgresError) as error:
        print(f"parley: cannot rescan: {error}")
        return 1
    return 1 if unlisted else 0


def _row(found: FoundRecording) -> Found | None:
    info, manifest, state = found.info, found.manifest, _FINISHED.get(found.state)
    if manifest is not None and state is not None:
        return Found(
            recording=found.recording,
            meeting=manifest.room,
            state=state,
            problems=tuple(manifest.problems),
            started_unix_ms=manifest.started_unix_ms,
            ended_unix_ms=manifest.ended_unix_ms,
            duration_ms=manifest.duration_ms,
            bytes=manifest.bytes,
            segments=tuple(
                Segment(
                    key=segment.key,
                    track=track.track,
                    participant=track.participant,
                    bytes=segment.bytes,
                    sha256=segment.sha256,
                )
                for track in manifest.tracks
                for segment in track.segments
            ),
            film=None
            if found.film is None
            else Film(
                file=found.film.file,
                bytes=found.film.bytes,
                storyboard=found.film.storyboard,
                chapters=[chapter._asdict() for chapter in found.film.chapters],
            ),
            hold=_HOLDS.get(found.hold),
        )
    if info is None or found.state == "damaged":
        return None
    return Found(
        recording=found.recording,
        meeting=info.room,
        state="recording" if info.state == "recording" else "sealing",
        started_unix_ms=info.started_unix_ms,
        ended_unix_ms=info.ended_unix_ms,
        duration_ms=None,
        bytes=None,
        segments=(),
        film=None,
        hold=_HOLDS.get(found.hold),
    )
