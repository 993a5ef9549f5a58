"""Starting and stopping of recordings, requested by a host over REST or by a participant over signaling."""

import logging
import time
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from control.database import Connection
from control.identifiers import new_id
from control.meetings.ending import ended
from control.problem import Problem, not_found
from control.services import Services
from control.store import audit, egresses, meetings, outbox, recordings, rooms
from control.store.recordings import RecordingRow
from sfu.api.desired_state import DesiredRecording, DesiredState
from sfu.api.facts import RecordingRequested

_log = logging.getLogger(__name__)
CONSENT_TEXT = "recording-1"
"""Version of the text shown to participants while a recording runs."""


class Wish(NamedTuple):
    """Author of a request to record: the participant, the account, and its address."""

    meeting: str
    by: str
    actor: str
    address: str


async def start(services: Services, wish: Wish) -> RecordingRow:
    """Start a recording; raises Problem with the reason if it cannot start."""
    await services.archive.check_room()
    meeting = wish.meeting
    desired = DesiredRecording(
        recording=new_id("recording"),
        started_at=time.time_ns() // 1_000_000,
        started_by=wish.by,
        consent_text=CONSENT_TEXT,
    )
    if not services.config.recording:
        raise Problem(403, "recording_off", "An administrator has turned recording off on this server.")
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        state = await rooms.edit_state(connection, meeting, lambda before: _with(before, desired))
        if state is None:
            raise not_found("This meeting does not exist.")
        await _check_quota(services, connection, meeting)
        started_at = datetime.fromtimestamp(desired.started_at / 1000, UTC)
        row = await recordings.start(connection, desired.recording, meeting, desired.started_by, started_at)
        payload = {"meeting": meeting, "recording": row.id, "by": wish.actor}
        await outbox.append(connection, outbox.MEDIA_EVENTS, meeting, "recording.started", payload)
        await audit.write(connection, wish.actor, "start_recording", row.id, wish.address, meeting=meeting)
    services.nodes.push(state)
    return row


async def _check_quota(services: Services, connection: Connection, meeting: str) -> None:
    """Raise Problem 507 if the recordings of the meeting's host use up their quota."""
    quota = services.config.recordings_quota_bytes
    row = await meetings.by_id(connection, meeting)
    if quota is None or row is None:
        return
    used = await recordings.bytes_of(connection, row.host_id)
    if used >= quota:
        sizes = f"{used / 1e9:.1f} of {quota / 1e9:.1f} GB"
        detail = f"The recordings of the meeting's host use up their quota ({sizes}). Delete some first."
        raise Problem(507, "recordings_quota", detail)


def _with(before: DesiredState, desired: DesiredRecording) -> DesiredState:
    if before.ended:
        raise ended()
    if before.e2ee:
        raise Problem(409, "e2ee", "An end-to-end encrypted meeting cannot be recorded by the server.")
    if before.recording is not None:
        raise Problem(409, "already_recording", "This meeting is already being recorded.")
    return msgspec.structs.replace(before, recording=desired)


async def stop(services: Services, wish: Wish) -> RecordingRow:
    """Stop the running recording; raises Problem 409 if there is none."""
    meeting = wish.meeting
    async with services.pool.acquire() as connection, connection.transaction():
        await meetings.lock(connection, meeting)
        sealed = await recordings.seal(connection, meeting, datetime.now(UTC))
        if not sealed:
            raise Problem(409, "not_recording", "This meeting is not being recorded.")
        state = await rooms.edit_state(
            connection, meeting, lambda before: msgspec.structs.replace(before, recording=None)
        )
        payload = {"meeting": meeting, "recording": sealed[0], "by": wish.actor}
        await outbox.append(connection, outbox.MEDIA_EVENTS, meeting, "recording.stopped", payload)
        await settle_empty(connection, meeting, sealed[0])
        row = await recordings.by_id(connection, sealed[0])
        await audit.write(connection, wish.actor, "stop_recording", sealed[0], wish.address, meeting=meeting)
    services.nodes.push(state)
    assert row is not None
    return row


async def settle_empty(connection: Connection, meeting: str, recording: str) -> None:
    """Finish an ended recording at once if nobody was in the meeting while it ran."""
    if await recordings.settle_empty(connection, recording):
        payload = {"meeting": meeting, "recording": recording, "state": "empty", "duration_ms": 0, "bytes": 0}
        await outbox.append(connection, outbox.MEDIA_EVENTS, meeting, "recording.processed", payload)
        await egresses.recorded(connection, recording, "", "")


async def fulfil(services: Services, fact: RecordingRequested) -> None:
    """Carry out a request that the sfu accepted over signaling. A refusal becomes an event with the reason."""
    wish = Wish(fact.room, fact.participant, fact.participant, "")
    try:
        await (start if fact.on else stop)(services, wish)
    except Problem as problem:
        _log.info("the recording of %s was not %s: %s", fact.room, "started" if fact.on else "stopped", problem.detail)
        payload = {"meeting": fact.room, "by": fact.participant, "on": fact.on, "code": problem.code}
        async with services.pool.acquire() as connection, connection.transaction():
            await outbox.append(connection, outbox.MEDIA_EVENTS, fact.room, "recording.refused", payload)
