"""`parley recording rescan`: restore recordings in the database from their files."""

import argparse
import asyncio
from collections.abc import Iterator

import asyncpg

from control.recordings.rescan import take
from control.store.recordings import Found, Segment, State
from foundation.settings import Settings
from objects.opening import open_store
from parley.part_configs import embedded_postgres, s3_config
from recorder.rescan import FoundRecording, rescan

_FINISHED: dict[str, State] = {"ready": "ready", "partial": "partial", "empty": "empty"}


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Rescan; returns the exit code: 1 when something was found that cannot be listed."""
    dsn = settings["database_url"] or embedded_postgres(settings).dsn
    unlisted = 0

    def report(found: Found, known: bool) -> None:
        nonlocal unlisted
        unlisted += not known
        print(f"{found.recording}  {found.state}  {'' if known else f'meeting {found.meeting} is not in the database'}")

    def found() -> Iterator[Found]:
        nonlocal unlisted
        for one in rescan(open_store(s3_config(settings), settings["recordings_dir"], "recordings/")):
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
            film=None if found.film is None else (found.film.key.rpartition("/")[2], found.film.size),
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
    )
