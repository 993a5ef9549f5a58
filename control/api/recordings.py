"""Recordings: start, stop, list, download and delete."""

import re
from datetime import timedelta
from typing import Any

from quart import Response

from control.api.conversation_types import Captions, caption_line
from control.api.paging import page_of, window_of
from control.api.recording_types import (
    Chapter,
    Composition,
    Film,
    Films,
    HoldRecording,
    RecordedTrack,
    Recording,
    RecordingDetail,
    RecordingPageQuery,
    RecordingQuery,
    Recordings,
    StorageState,
)
from control.api.types import Done
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.files.archive import within
from control.http import file_response
from control.http.zip_stream import stream
from control.problem import Problem, forbidden, not_found
from control.recordings import lifecycle, zip_entries
from control.recordings.lifecycle import Wish
from control.services import Services
from control.store import audit, films, jobs, meetings, recordings, transcript
from control.store.films import FilmRow
from control.store.jobs import JobRow
from control.store.recordings import FoundRow, Hold, RecordingRow
from foundation.film_options import FilmOptions, from_job, to_job

endpoints = Endpoints("recordings", scope="recordings")


def public_recording(services: Services, row: RecordingRow, title: str) -> Recording:
    film = None if row.composed is None else row.composed["file"]
    days = row.kept_days(services.config.retention.recordings_days)
    finished = row.state not in {"recording", "sealing"}
    deleted_at = row.started_at + timedelta(days=days) if days is not None and finished and row.hold is None else None
    held = row.hold is not None
    relevance = row.relevance if isinstance(row, FoundRow) else None
    return Recording.from_row(
        row,
        meeting=row.meeting_id,
        title=title,
        film=film,
        held=held,
        deleted_at=deleted_at,
        relevance=relevance,
    )


@endpoints.route("POST", "/api/v1/meetings/<meeting>/recording/start", Access.RECORDER, answer=Recording, status=201)
async def start_recording(call: Call, meeting: str) -> Recording:
    """Start recording. Every participant is notified, and is recorded only with consent."""
    person = call.standing.participant
    wish = Wish(meeting, person.id if person is not None else call.actor, call.actor, call.address)
    row = await lifecycle.start(call.services, wish)
    return public_recording(call.services, row, call.standing.meeting.title)


@endpoints.route("POST", "/api/v1/meetings/<meeting>/recording/stop", Access.RECORDER, answer=Recording)
async def stop_recording(call: Call, meeting: str) -> Recording:
    """Stop the running recording. It is then finished automatically."""
    row = await lifecycle.stop(call.services, Wish(meeting, call.actor, call.actor, call.address))
    return public_recording(call.services, row, call.standing.meeting.title)


@endpoints.route(
    "GET", "/api/v1/meetings/<meeting>/recordings", Access.HOST, query=RecordingPageQuery, answer=Recordings
)
async def list_meeting_recordings(call: Call, meeting: str, query: RecordingPageQuery) -> Recordings:
    """List the recordings of one meeting and its breakout rooms, newest first."""
    window = window_of(query, RecordingRow)
    async with call.services.pool.acquire() as connection:
        rows = await recordings.of_all_rooms(connection, meeting, window, query.state)
        return await _answer(call.services, connection, rows, query, call.standing.meeting.host_id)


@endpoints.route("GET", "/api/v1/recordings", Access.USER, query=RecordingQuery, answer=Recordings)
async def list_recordings(call: Call, query: RecordingQuery) -> Recordings:
    """List the recordings that the caller may access, newest first; with `search`, only those that match."""
    if query.search is None and query.sort.endswith("relevance"):
        raise Problem(400, "invalid_request", "Only a search can be sorted by relevance.")
    window = window_of(query, FoundRow)
    async with call.services.pool.acquire() as connection:
        rows = await recordings.of_user(connection, call.user.user, window, query.state, query.search)
        return await _answer(call.services, connection, rows, query, call.user.user)


async def _answer(
    services: Services,
    connection: Connection,
    rows: list[tuple[RecordingRow, str]],
    query: RecordingPageQuery,
    owner: str,
) -> Recordings:
    shown, following = page_of(rows, query, holder=lambda entry: entry[0])
    return Recordings(
        recordings=[public_recording(services, row, title) for row, title in shown],
        storage=await _storage(services, connection, owner),
        next=following,
    )


@endpoints.route("GET", "/api/v1/recordings/<recording>", Access.RECORDING, answer=RecordingDetail)
async def get_recording(call: Call, recording: str) -> RecordingDetail:
    """Return a recording with the tracks of its manifest; there are none before it is finished."""
    return await detail(call.services, _row(call), call.standing.meeting.title)


@endpoints.route("GET", "/api/v1/recordings/<recording>/captions", Access.RECORDING, answer=Captions)
async def get_recording_captions(call: Call, recording: str) -> Captions:
    """Return the captions of the recording; times count from its start."""
    return await captions(call.services, _row(call))


@endpoints.route("GET", "/api/v1/recordings/<recording>/manifest", Access.RECORDING, content_type="application/json")
async def get_manifest(call: Call, recording: str) -> Response:
    """Return the manifest as the recorder wrote it."""
    return await send(call, recording, "manifest.json")


@endpoints.route("GET", "/api/v1/recordings/<recording>/files/<path:name>", Access.RECORDING, content_type="*/*")
async def download_recording_file(call: Call, recording: str, name: str) -> Response:
    """Download a file of a finished recording; Range and If-Range are honoured."""
    return await send(call, recording, name)


@endpoints.route("GET", "/api/v1/recording/download/<recording>", Access.RECORDING, content_type="application/zip")
async def download_recording(call: Call, recording: str) -> Response:
    """Download a finished recording as a ZIP file: its tracks, the combined video, the captions and the manifest."""
    entries = await zip_entries.entries(call.services, _row(call))
    response = Response(stream(call.services.archive.objects, entries), content_type="application/zip")
    response.timeout = None
    title = re.sub(r"[^A-Za-z0-9 ._-]+", "_", call.standing.meeting.title)[:60]
    response.headers["Content-Disposition"] = f'attachment; filename="{title}.zip"'
    return response


@endpoints.route(
    "POST", "/api/v1/recordings/<recording>/composition", Access.RECORDING, answer=RecordingDetail, status=202
)
async def compose_recording(call: Call, recording: str) -> RecordingDetail:
    """Queue a new combined video of a finished recording, unless one is queued or in progress."""
    row, duration_ms = _finished(call)
    manifest = await call.services.archive.manifest(recording)
    async with call.services.pool.acquire() as connection, connection.transaction():
        job = await films.latest(connection, recording)
        if job is None or job.state in {"done", "failed"}:
            meeting = call.standing.meeting
            await films.queue(connection, recording, manifest.instance, meeting.host_id, duration_ms)
            await audit.write(connection, call.actor, "compose_recording", recording, call.address)
    return await detail(call.services, row, call.standing.meeting.title)


@endpoints.route(
    "POST", "/api/v1/recordings/<recording>/films", Access.RECORDING, body=FilmOptions, answer=Film, status=202
)
async def order_film(call: Call, recording: str, body: FilmOptions) -> Film:
    """Order a combined video of all or parts of a finished recording, in a layout, size and format."""
    row, duration_ms = _finished(call)
    if (problem := body.problem()) is not None:
        raise Problem(400, "invalid_film", problem)
    if any(start >= duration_ms for start, _ in body.ranges):
        raise Problem(400, "invalid_film", "A range begins after the end of the recording.")
    manifest = await call.services.archive.manifest(recording)
    async with call.services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, row.meeting_id)
        if await films.count(connection, recording) >= films.MOST:
            raise Problem(409, "too_many_films", f"A recording can have {films.MOST} films. Delete one first.")
        host = call.standing.meeting.host_id
        made, job = await films.order(
            connection, recording, manifest.instance, host=host, duration_ms=duration_ms, film=to_job(body)
        )
        await audit.write(connection, call.actor, "order_film", recording, call.address)
    return _film(made, job)


@endpoints.route("GET", "/api/v1/recordings/<recording>/films", Access.RECORDING, answer=Films)
async def list_films(call: Call, recording: str) -> Films:
    """List the combined videos ordered for a recording, newest first and all at once: there are at most 20."""
    async with call.services.pool.acquire() as connection:
        return Films(films=[_film(row, job) for row, job in await films.ordered(connection, recording)])


@endpoints.route("DELETE", "/api/v1/recordings/<recording>/films/<film>", Access.RECORDING, answer=Done)
async def delete_film(call: Call, recording: str, film: str) -> Done:
    """Delete an ordered combined video, or cancel it."""
    if _row(call).hold is not None:
        raise _held()
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await films.forget(connection, recording, film)
        if row is None:
            raise not_found("This recording has no such film.")
        await audit.write(connection, call.actor, "delete_film", recording, call.address)
    if row.made is not None:
        await call.services.archive.remove_film(recording, row.made["file"])
    return Done()


@endpoints.route("PUT", "/api/v1/recordings/<recording>/hold", Access.RECORDING, body=HoldRecording, answer=Recording)
async def hold_recording(call: Call, recording: str, body: HoldRecording) -> Recording:
    """Place or release a legal hold. Only administrators may change a hold that an administrator placed.

    Neither people nor retention delete a recording on hold, nor its meeting, films, captions or owner's account.
    Retention also keeps the chat, notes and summary of its meeting.
    """
    admin = call.standing.admin
    hold: Hold | None = ("admin" if admin else "host") if body.held else None
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await recordings.set_hold(connection, recording, hold, admin=admin)
        if row is None:
            raise forbidden("An administrator placed this hold. Only administrators may change it.")
        await call.services.archive.set_hold(recording, hold)
        action = "hold_recording" if body.held else "release_recording"
        await audit.write(connection, call.actor, action, recording, call.address)
    return public_recording(call.services, row, call.standing.meeting.title)


@endpoints.route("DELETE", "/api/v1/recordings/<recording>", Access.RECORDING, answer=Done)
async def delete_recording(call: Call, recording: str) -> Done:
    """Delete a finished recording with its files."""
    if _row(call).state in {"recording", "sealing"}:
        raise Problem(409, "recording", "This recording is still running or being finished.")
    async with call.services.pool.acquire() as connection, connection.transaction():
        if not await recordings.delete(connection, recording):
            raise _held()
        await jobs.forget_about(connection, [recording])
        await audit.write(connection, call.actor, "delete_recording", recording, call.address)
    await call.services.archive.remove(recording)
    return Done()


async def _storage(services: Services, connection: Connection, owner: str) -> StorageState:
    trouble = await services.archive.trouble()
    per_day = await recordings.bytes_per_day(connection)
    free = await services.archive.free()
    return StorageState(
        healthy=trouble is None,
        problem=None if trouble is None else trouble.detail,
        free_bytes=free,
        days_left=round(free / per_day, 1) if free is not None and per_day else None,
        used_bytes=await recordings.bytes_of(connection, owner),
        quota_bytes=services.config.recordings_quota_bytes,
    )


async def captions(services: Services, row: RecordingRow) -> Captions:
    """Return the captions during the recording; times count from its start."""
    async with services.pool.acquire() as connection:
        rows = await transcript.captions_within(
            connection, row.meeting_id, row.started_at, row.duration_ms or 0, zip_entries.MAX_LINES
        )
    return Captions(captions=[caption_line(one) for one in rows])


def _held() -> Problem:
    return Problem(409, "held", "This recording is on legal hold. It cannot be deleted until the hold is released.")


def _row(call: Call) -> RecordingRow:
    row = call.standing.recording
    if row is None:
        raise not_found("This recording does not exist.")
    return row


def _finished(call: Call) -> tuple[RecordingRow, int]:
    """Return a finished recording and its duration. Raises Problem 409 for any other."""
    row = _row(call)
    if row.state not in {"ready", "partial"} or not row.duration_ms:
        raise Problem(409, "not_finished", "This recording is not finished. There is nothing to compose yet.")
    return row, row.duration_ms


async def send(call: Call, recording: str, name: str) -> Response:
    """Send a file of a recording, or the requested range of it."""
    key, kind = await call.services.archive.file(recording, name)
    response = await file_response.send(call.request, call.services.archive.objects, key, kind, "private, no-cache")
    if call.request.args.get("download") is not None:
        response.headers["Content-Disposition"] = f'attachment; filename="{name.rpartition("/")[2]}"'
    return response


async def detail(services: Services, row: RecordingRow, title: str) -> RecordingDetail:
    """Return a recording with the tracks of its manifest, which exists once it is finished."""
    tracks: list[RecordedTrack] = []
    if row.state in {"ready", "partial"}:
        try:
            manifest = await services.archive.manifest(row.id)
        except Problem as problem:
            if problem.status != 404:
                raise
        else:
            tracks = [
                RecordedTrack.from_row(track, files=[within(row.id, file.key) for file in track.files])
                for track in manifest.tracks
            ]
    composition = await _composition(services, row)
    return RecordingDetail(recording=public_recording(services, row, title), tracks=tracks, composition=composition)


async def _composition(services: Services, row: RecordingRow) -> Composition | None:
    """Return the state of the combined video. While a new one is created, the previous one is available."""
    async with services.pool.acquire() as connection:
        job = await films.latest(connection, row.id)
    if job is None and row.composed is None:
        return None
    return composition_of(job, row.composed)


def composition_of(job: JobRow | None, made: dict[str, Any] | None) -> Composition:
    return Composition(**_state(job, made))


def _film(row: FilmRow, job: JobRow | None) -> Film:
    return Film(id=row.id, options=from_job(row.options), created_at=row.created_at, **_state(job, row.made))


def _state(job: JobRow | None, made: dict[str, Any] | None) -> dict[str, Any]:
    """Return the fields of a film: its job's progress, and the film that this job or an earlier one made."""
    state: dict[str, Any] = {"state": "done", "progress": 1.0}
    if job is None and made is None:
        state = {"state": "failed", "progress": 0.0, "error": "every attempt was interrupted"}
    elif job is not None and job.state != "done":
        error = job.error if job.state == "failed" else None
        state = {"state": job.state, "progress": job.progress, "error": error}
    elif made is None:
        # The job ended after the recording's row was read: the next answer has the file.
        state = {"state": "running", "progress": 1.0}
    if made is not None:
        chapters = [Chapter(**chapter) for chapter in made.get("chapters", [])]
        state |= {"file": made["file"], "bytes": made["bytes"], "chapters": chapters}
        state["storyboard"] = made.get("storyboard")
    return state
