"""Egresses: files and live streams ordered through LiveKit's API.

The state of a file's egress is derived from the recording and the film, that of a live egress from its streams, which
are outputs of the meeting's broadcast. An egress of both ends with its file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from control.database import Connection
from control.identifiers import new_id
from control.store import films, jobs, outbox, recordings
from control.store.broadcasts import STARTED_IT
from foundation.broadcasts import BroadcastReport, OutputKind, OutputState

MOST_LISTED = 100
UPLOAD = "film upload"
"""The kind of the job that uploads the film of an egress, its subject."""
_UPLOAD_SECONDS = 60.0
MOST_ATTEMPTS = 5
"""Attempts after which a stream that was never live has failed."""


class NewStream(NamedTuple):
    """A stream of a new egress; `output` is its output, `url` what applications see.

    `playlist` and `live_playlist` are keys in a bucket, to be added to `url`.
    """

    output: str
    kind: OutputKind
    url: str
    playlist: str = ""
    live_playlist: str = ""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream of an egress. `url` is the playlist's path, that of the images, or the address with its secret redacted.

    For segments in a bucket, `url` is that of the bucket, to which the keys `playlist` and `live_playlist` are added.
    `images` is the number of images stored, or of segments in a bucket.
    """

    id: str
    egress_id: str
    kind: OutputKind
    url: str
    was_live: bool
    has_failed: bool
    retries: int
    retried_at: datetime | None
    error: str
    started_at: datetime
    ended_at: datetime | None
    images: int
    playlist: str
    live_playlist: str


@dataclass(frozen=True, slots=True)
class EgressRow:
    """An egress and the basis of its state: a recording, a broadcast, or both.

    An egress of a web page has neither until the page, the stream `page`, has started.

    `owns`: the egress started the recording, or without one the broadcast; `owns_broadcast`: it started the broadcast.

    `made` is the film's result. `upload` is the sealed bucket (objects.buckets) to which the film is still
    to be uploaded, `location` the URL once it is there.
    """

    id: str
    meeting_id: str
    recording_id: str | None
    broadcast_id: str | None
    room: str
    request: bytes
    kind: str
    filepath: str
    options: dict[str, Any]
    owns: bool
    owns_broadcast: bool
    film: str | None
    upload: str
    location: str
    error: str
    started_at: datetime
    ended_at: datetime | None
    recording_state: str | None
    stopped_at: datetime | None
    recording_ms: int | None
    made: dict[str, Any] | None
    job_state: str | None
    job_error: str | None
    page: str
    page_order: str


_ALL = """SELECT e.*, r.state AS recording_state, r.stopped_at, r.duration_ms AS recording_ms, f.made,
    j.state AS job_state, j.error AS job_error
    FROM livekit_egresses e LEFT JOIN meeting_recordings r ON r.id = e.recording_id
    LEFT JOIN recording_films f ON f.id = e.film LEFT JOIN processing_jobs j ON j.id = e.film"""


async def add(connection: Connection, streams: Sequence[NewStream] = (), *, made: str = "", **values: Any) -> EgressRow:
    """Add an egress with the id `made` or a new one, and write its event.

    It is of a running recording or broadcast, or waits for the start of its page (egress_pages). If `made` has
    waited, it begins, and stays what applications know it as.
    """
    made = made or new_id("egress")
    waited = await connection.fetchrow(
        "DELETE FROM livekit_egresses WHERE id = $1 RETURNING page, room, kind, request", made
    )
    await connection.insert("livekit_egresses", id=made, **(values | dict(waited or {})))
    await _insert_streams(connection, made, streams)
    row = await by_id(connection, made)
    assert row is not None
    await _report(connection, row, "egress.started" if waited is None else "egress.updated")
    return row


async def by_id(connection: Connection, egress: str) -> EgressRow | None:
    return await connection.one(EgressRow, f"{_ALL} WHERE e.id = $1", egress)


async def listed(connection: Connection, room: str, egress: str) -> list[EgressRow]:
    """Return the newest egresses, optionally of one room or with one id."""
    return await connection.all(
        EgressRow,
        f"{_ALL} WHERE ($1 = '' OR e.room = $1) AND ($2 = '' OR e.id = $2) ORDER BY e.started_at DESC, e.id LIMIT $3",
        room,
        egress,
        MOST_LISTED,
    )


async def end(connection: Connection, egress: str) -> bool:
    """Store the end of an egress; return whether only egresses needed the recording, and none does any longer."""
    row = await by_id(connection, egress)
    if row is None or not await connection.change(
        "UPDATE livekit_egresses SET ended_at = now() WHERE id = $1 AND ended_at IS NULL", egress
    ):
        return False
    await _report(connection, row, "egress.updated" if row.recording_id is not None else "egress.ended")
    others = await connection.all(EgressRow, f"{_ALL} WHERE e.recording_id = $1", row.recording_id)
    return any(one.owns for one in others) and all(one.ended_at is not None for one in others)


async def recorded(connection: Connection, recording: str, node: str, host: str) -> None:
    """Order the films of a finished recording's egresses, each from the start to the end of its egress."""
    row = await recordings.by_id(connection, recording)
    if row is None:
        return
    duration = row.duration_ms or 0
    for egress in await connection.all(EgressRow, f"{_ALL} WHERE e.recording_id = $1 AND e.film IS NULL", recording):
        ended_at = egress.ended_at or row.stopped_at
        if not duration:
            await _update(connection, egress.id, ended_at, None)
            await _report(connection, egress, "egress.ended")
            continue
        start = max(0, int((egress.started_at - row.started_at).total_seconds() * 1000))
        end = duration if egress.ended_at is None else int((egress.ended_at - row.started_at).total_seconds() * 1000)
        options = dict(egress.options)
        if not egress.owns or end < duration:
            span = (min(start, duration - 1), min(max(end, start + 1), duration))
            options["ranges"] = [span if span[0] < span[1] else (0, duration)]
        film, _ = await films.order(connection, recording, node, host=host, duration_ms=duration, film=options)
        await _update(connection, egress.id, ended_at, film.id)


async def given_up(connection: Connection, recording: str) -> None:
    """End the egresses of a recording that has been given up."""
    row = await recordings.by_id(connection, recording)
    if row is None or row.state not in ("partial", "empty"):
        return
    for egress in await connection.all(EgressRow, f"{_ALL} WHERE e.recording_id = $1 AND e.film IS NULL", recording):
        await _update(connection, egress.id, egress.ended_at or row.stopped_at, None)
        await _report(connection, egress, "egress.ended")


async def _update(connection: Connection, egress: str, ended_at: datetime | None, film: str | None) -> None:
    """Store the end and the film of an egress, and end its streams. Without a film, nothing will be uploaded."""
    await connection.execute(
        "UPDATE livekit_egresses SET ended_at = $2, film = $3,"
        " upload = CASE WHEN $3::text IS NULL THEN '' ELSE upload END WHERE id = $1",
        egress,
        ended_at,
        film,
    )
    streams = (await streams_of(connection, [egress])).get(egress, [])
    await finish_streams(connection, [stream.id for stream in streams if stream.ended_at is None])


async def filmed(connection: Connection, film: str) -> None:
    """End a film's egress, if the film belongs to one, or have the film uploaded first."""
    found: Sequence[EgressRow] = await connection.all(EgressRow, f"{_ALL} WHERE e.film = $1", film)
    for row in found:
        if row.upload and row.made is not None:
            await jobs.queue(connection, UPLOAD, row.id, {}, line=row.meeting_id, seconds=_UPLOAD_SECONDS)
        else:
            await _end_upload(connection, row, "", "")


async def uploaded(connection: Connection, egress: str, location: str, error: str) -> None:
    """End an egress whose film is at `location`, or was not uploaded because of `error`, and forget its bucket."""
    row = await by_id(connection, egress)
    if row is not None and row.upload:
        await _end_upload(connection, row, location, error)


async def _end_upload(connection: Connection, row: EgressRow, location: str, error: str) -> None:
    await connection.execute(
        "UPDATE livekit_egresses SET upload = '', location = $2, error = coalesce(nullif($3, ''), error) WHERE id = $1",
        row.id,
        location,
        error,
    )
    await _report(connection, row, "egress.ended")


async def add_streams(connection: Connection, row: EgressRow, streams: Sequence[NewStream]) -> None:
    """Add streams to a live egress, and write its event."""
    await _insert_streams(connection, row.id, streams)
    await _report(connection, row, "egress.updated")


async def _insert_streams(connection: Connection, egress: str, streams: Sequence[NewStream]) -> None:
    for stream in streams:
        values = stream._asdict()
        await connection.insert("livekit_streams", id=values.pop("output"), egress_id=egress, **values)


async def streams_of(connection: Connection, egresses: Sequence[str]) -> dict[str, list[StreamRow]]:
    """Return the streams of live egresses, by egress, in their order."""
    found: dict[str, list[StreamRow]] = {}
    rows = await connection.all(
        StreamRow, "SELECT * FROM livekit_streams WHERE egress_id = ANY($1) ORDER BY started_at, id", list(egresses)
    )
    for row in rows:
        found.setdefault(row.egress_id, []).append(row)
    return found


async def finish_streams(connection: Connection, outputs: Sequence[str], *, failed: bool = False) -> None:
    """End streams and delete their outputs. An egress ends with its last stream."""
    ended = await connection.fetch(
        "UPDATE livekit_streams SET ended_at = now(), has_failed = $2 OR (NOT was_live AND error <> '')"
        " WHERE id = ANY($1) AND ended_at IS NULL RETURNING egress_id",
        list(outputs),
        failed,
    )
    await connection.execute("DELETE FROM broadcast_outputs WHERE id = ANY($1)", list(outputs))
    for egress in sorted({str(row["egress_id"]) for row in ended}):
        is_over = await connection.change(
            "UPDATE livekit_egresses SET ended_at = now() WHERE id = $1 AND ended_at IS NULL AND recording_id IS NULL"
            " AND NOT EXISTS (SELECT FROM livekit_streams WHERE egress_id = $1 AND ended_at IS NULL)",
            egress,
        )
        row = await by_id(connection, egress)
        assert row is not None
        await _report(connection, row, "egress.ended" if is_over else "egress.updated")


async def broadcast_over(connection: Connection, broadcast: str) -> None:
    """End the streams of a broadcast that has ended."""
    await finish_streams(connection, [row.id for row in await _running_streams(connection, broadcast)])


async def is_unused(connection: Connection, broadcast: str) -> bool:
    """Return whether an egress started a broadcast, and all of its egresses are over."""
    return await connection.value(
        bool,
        f"SELECT coalesce(bool_or({STARTED_IT}) AND bool_and(ended_at IS NOT NULL), false)"  # noqa: S608  a constant
        " FROM livekit_egresses WHERE broadcast_id = $1",
        broadcast,
    )


async def note_report(connection: Connection, broadcast: str, report: BroadcastReport) -> bool:
    """Store what a recorder reports about the streams of a broadcast; return whether one has failed for good."""
    failed = []
    for stream in await _running_streams(connection, broadcast):
        state = report.outputs.get(stream.id)
        if state is None or not await _note_state(connection, stream, state):
            continue
        if state.attempts >= MOST_ATTEMPTS and not stream.was_live and state.phase != "live":
            failed.append(stream.id)
        elif state.phase == "live" and not stream.was_live:
            row = await by_id(connection, stream.egress_id)
            assert row is not None
            await _report(connection, row, "egress.updated")
    if failed:
        await finish_streams(connection, failed, failed=True)
    return bool(failed)


async def _note_state(connection: Connection, stream: StreamRow, state: OutputState) -> bool:
    """Store a stream's reported state; return whether it changed."""
    was_live = stream.was_live or state.phase == "live"
    known = stream.was_live, stream.retries, stream.error, stream.images
    images = max(stream.images, state.images)
    if (was_live, state.attempts, state.error, images) == known:
        return False
    retried_at = datetime.fromtimestamp(state.since / 1000, UTC) if state.attempts else None
    return await connection.change(
        "UPDATE livekit_streams SET was_live = $2, retries = $3, error = $4, retried_at = $5, images = $6"
        " WHERE id = $1",
        stream.id,
        was_live,
        state.attempts,
        state.error,
        retried_at,
        images,
    )


async def images_of(connection: Connection, meeting: str, output: str) -> bool:
    """Return whether an output of a meeting stores or stored images."""
    return await connection.value(
        bool,
        "SELECT EXISTS (SELECT FROM livekit_streams s JOIN livekit_egresses e ON e.id = s.egress_id"
        " WHERE s.id = $1 AND e.meeting_id = $2 AND s.kind = 'images')",
        output,
        meeting,
    )


async def outlived_images(connection: Connection, days: int | None) -> list[tuple[str, str]]:
    """Return the meetings and outputs of images that are older than the server keeps recordings; they count as gone."""
    rows = await connection.fetch(
        "UPDATE livekit_streams s SET images = 0 FROM livekit_egresses e"
        " WHERE e.id = s.egress_id AND s.kind = 'images' AND s.images > 0"
        " AND s.ended_at < now() - make_interval(days => $1::integer) RETURNING e.meeting_id, s.id",
        days,
    )
    return [(row["meeting_id"], row["id"]) for row in rows]


async def _running_streams(connection: Connection, broadcast: str) -> list[StreamRow]:
    return await connection.all(
        StreamRow,
        "SELECT s.* FROM livekit_streams s JOIN livekit_egresses e ON e.id = s.egress_id"
        " WHERE e.broadcast_id = $1 AND s.ended_at IS NULL ORDER BY s.id",
        broadcast,
    )


async def _report(connection: Connection, row: EgressRow, kind: str) -> None:
    payload = {"meeting": row.meeting_id, "egress": row.id}
    about = {"recording": row.recording_id, "broadcast": row.broadcast_id}
    payload |= {name: one for name, one in about.items() if one is not None}
    await outbox.append(connection, outbox.MEDIA_EVENTS, row.meeting_id, kind, payload)
