"""Ingestion of facts: rows and events of one batch in one transaction; a repeated batch changes nothing.

A fact that does not apply (an unknown meeting or participant, a value that the database refuses) or cannot be read (a
kind from a later release) is counted and dropped; the rest of the batch is kept. Otherwise, the reporter would repeat
the batch forever.
"""

import logging
import re
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from prometheus_client import Counter

from control import network_test
from control.database import Connection
from control.problem import Problem
from control.recordings import broadcasts, lifecycle
from control.services import Services
from control.store import (
    agent_jobs,
    audit,
    batches,
    egresses,
    films,
    livekit_rooms,
    meetings,
    outbox,
    participants,
    placements,
    quality,
    recordings,
    rooms,
    transcript,
)
from foundation import tracing
from foundation.film_options import FilmOptions
from sfu.api.desired_state import DesiredState
from sfu.api.facts import (
    AnyFact,
    CaptionFinal,
    ChatSent,
    ConsentAnswered,
    MessageReacted,
    ParticipantJoined,
    ParticipantLeft,
    QualityMeasured,
    ReceivedBatch,
    RecordingFinished,
    RecordingRequested,
    RecordingResumed,
    RecordingStalled,
    RecordingStarted,
    RoomClosed,
    RoomOpened,
    SegmentClosed,
    SkippedFact,
    TrackPublished,
    TrackUnpublished,
    decode_batch,
)
from sfu.api.placement import Placement

_log = logging.getLogger(__name__)
_TAKEN = Counter("parley_control_facts_total", "Facts ingested", ["kind"])
_DROPPED = Counter("parley_control_facts_dropped_total", "Facts that were dropped", ["kind", "reason"])
_REPEATED = Counter("parley_control_fact_batches_repeated_total", "Batches that had been ingested before")
_ESCAPED_NUL = re.compile(rb"(\\+)u0000")
_RecordingFact = RecordingStarted | RecordingStalled | RecordingResumed | SegmentClosed | RecordingFinished
NODE_LOST = "node_lost"
MOVED = "moved"
_SAID: set[str] = set()
_MAX_SAID = 100
_MAX_MS = 4_102_444_800_000  # the year 2100


class Unfit(Exception):
    """The fact refers to something unknown; the message is the reason given in the metrics."""


def read(data: bytes) -> ReceivedBatch:
    """Return the batch in `data` without NUL characters, which PostgreSQL cannot store; raises ValueError."""
    return decode_batch(_ESCAPED_NUL.sub(_without_nul, data))


def _without_nul(match: re.Match[bytes]) -> bytes:
    """Drop an escaped NUL, but leave alone a backslash that is itself escaped."""
    return match[0] if len(match[1]) % 2 == 0 else match[1][:-1]


async def take(services: Services, batch: ReceivedBatch) -> None:
    """Write a batch unless it was written before. On return, it may be acknowledged."""
    changed: list[DesiredState | None] = []
    async with services.pool.acquire() as connection, connection.transaction():
        if not await batches.claim(connection, batch.node, batch.boot, batch.n):
            _REPEATED.inc()
            return
        for skipped in batch.skipped:
            _skip(batch, skipped)
        if any(isinstance(fact, RoomOpened) for fact in batch.facts):
            changed += await close_stale_rooms(connection, batch.node, batch.boot)
        # Every batch locks meetings in the same order, so two batches never deadlock.
        for fact in sorted(batch.facts, key=lambda one: one.room):
            changed.append(await _take_one(connection, batch, fact))
    services.nodes.push(*changed)
    for fact in batch.facts:
        if isinstance(fact, RecordingRequested):
            services.tasks.start(lifecycle.fulfil(services, fact))


def _skip(batch: ReceivedBatch, skipped: SkippedFact) -> None:
    """Count a fact that could not be read; log each kind once."""
    _DROPPED.labels(skipped.kind if skipped.known else "unknown", "invalid" if skipped.known else "unknown_kind").inc()
    if skipped.kind not in _SAID and len(_SAID) < _MAX_SAID:
        _SAID.add(skipped.kind)
        _log.warning("cannot read facts of kind %r from %s: %s", skipped.kind, batch.node, skipped.problem)


async def close_stale_rooms(connection: Connection, node: str, boot: str) -> list[DesiredState | None]:
    """Write the missing left and closed events of rooms that an earlier process of `node` had open."""
    changed = []
    if await rooms.see_node(connection, node, boot):
        for room in sorted(await rooms.stale(connection, node, boot), key=lambda one: one.meeting_id):
            changed.append(await close_room(connection, room.meeting_id, datetime.now(UTC), NODE_LOST))
    return changed


async def close_room(connection: Connection, meeting: str, at: datetime, reason: str) -> DesiredState | None:
    """Close a live room, with an event for everyone who had not left; return a changed state."""
    if await meetings.lock(connection, meeting) is None:
        raise Unfit("unknown_meeting")
    if not await rooms.close_room(connection, meeting, at, reason):
        return None
    for participant in await participants.present_in(connection, meeting):
        await participants.mark_left(connection, meeting, participant, at, reason)
        payload = {"meeting": meeting, "participant": participant, "reason": reason}
        await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "meeting.user_left", payload)
    await meetings.mark_idle(connection, meeting)
    await agent_jobs.forget_pending(connection, meeting)
    payload = {"meeting": meeting, "reason": reason}
    await outbox.append(connection, outbox.MEETING_EVENTS, meeting, "meeting.room_closed", payload)
    sealed = await recordings.seal(connection, meeting, at) if reason not in {NODE_LOST, MOVED} else []
    if not sealed:
        return None
    for recording in sealed:
        stopped = {"meeting": meeting, "recording": recording}
        await outbox.append(connection, outbox.MEDIA_EVENTS, meeting, "recording.stopped", stopped)
    return await rooms.edit_state(connection, meeting, lambda before: msgspec.structs.replace(before, recording=None))


async def _take_one(connection: Connection, batch: ReceivedBatch, fact: AnyFact) -> DesiredState | None:
    kind = fact.__struct_config__.tag
    if network_test.is_test(fact.room):
        _DROPPED.labels(str(kind), "network_test").inc()
        return None
    try:
        async with connection.transaction():
            state = await _apply(connection, batch, fact)
    except Unfit as unfit:
        _drop(str(kind), str(unfit), batch)
        return None
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError) as error:
        _drop(str(kind), type(error).__name__, batch)
        return None
    _TAKEN.labels(kind).inc()
    return state


def _drop(kind: str, reason: str, batch: ReceivedBatch) -> None:
    _DROPPED.labels(kind, reason).inc()
    _log.warning("dropped a %s fact of %s, batch %d: %s", kind, batch.node, batch.n, reason)


async def _apply(connection: Connection, batch: ReceivedBatch, fact: AnyFact) -> DesiredState | None:
    at = _time(fact.at)
    meeting = await meetings.lock(connection, fact.room)
    if meeting is None:
        raise Unfit("unknown_meeting")
    placement = await placements.of(connection, fact.room)
    if fact.epoch and placement is not None:
        _check_epoch(batch, fact, placement)
    match fact:
        case RoomOpened() | RoomClosed() if placement is not None and batch.node in placement.secondaries:
            pass  # a secondary node holds only a part of the room
        case RoomOpened():
            await _open_room(connection, batch, fact, at, placement)
            return await _go_live(connection, fact.room, meeting.settings)
        case RoomClosed():
            return await close_room(connection, fact.room, at, MOVED if fact.moved else "closed")
        case ParticipantJoined() | ParticipantLeft():
            await _take_presence(connection, batch, fact, at)
        case TrackPublished() | TrackUnpublished():
            await _take_track(connection, fact, at)
        case RecordingStarted() | RecordingStalled() | RecordingResumed() | SegmentClosed() | RecordingFinished():
            await _take_recording(connection, batch, fact, at, meeting.host_id)
        case QualityMeasured():
            await quality.add(connection, fact, at)
        case ConsentAnswered():
            await transcript.add_consent(connection, fact, at)
            await audit.write(connection, fact.participant, "consent", fact.room, "", **_answer(fact))
            await _event(connection, outbox.MEETING_EVENTS, "consent.given", fact)
        case ChatSent() | MessageReacted():
            await _take_chat(connection, fact, at)
        case CaptionFinal():
            await transcript.add_caption(connection, fact, at)
            await _event(connection, outbox.AI_EVENTS, "asr.completed", fact)
    return None


def _answer(fact: ConsentAnswered) -> dict[str, Any]:
    return {"consent": fact.consent, "granted": fact.granted, "text": fact.text}


def _check_epoch(batch: ReceivedBatch, fact: AnyFact, placement: Placement) -> None:
    """Refuse facts about a room that has since been placed again: control has already written its end."""
    if fact.epoch < placement.epoch or not placement.includes(batch.node):
        raise Unfit("old_epoch")


async def _take_chat(connection: Connection, fact: ChatSent | MessageReacted, at: datetime) -> None:
    if isinstance(fact, MessageReacted):
        await transcript.react(connection, fact, at)
        return
    await transcript.add_chat(connection, fact, at)
    await _event(connection, outbox.SIGNALING_EVENTS, "chat.sent", fact)


async def _open_room(
    connection: Connection, batch: ReceivedBatch, fact: RoomOpened, at: datetime, placement: Placement | None
) -> None:
    live = await rooms.live(connection, fact.room)
    if live is not None:
        await close_room(connection, fact.room, at, "replaced")
    if placement is None or placement.node != batch.node:
        await placements.claim(connection, fact.room, batch.node, [batch.node], [])
    await rooms.open_room(connection, fact.room, batch.node, batch.boot, at)
    await meetings.mark_active(connection, fact.room, at)
    name = await livekit_rooms.name_of(connection, fact.room)
    if name is not None:
        await agent_jobs.add(connection, fact.room, name, agent_jobs.EVERY_ROOM)
    await _event(connection, outbox.MEETING_EVENTS, "meeting.started", fact)


async def _go_live(connection: Connection, meeting: str, settings: dict[str, Any]) -> DesiredState | None:
    """Start the broadcast that a meeting begins with, if it wants one."""
    if not settings.get("broadcast"):
        return None
    wish = broadcasts.Wish(meeting, broadcasts.AUTOMATIC, "")
    try:
        return (await broadcasts.start_in_transaction(connection, wish, FilmOptions(layout="speaker")))[1]
    except Problem as problem:
        _log.info("the broadcast of %s did not begin by itself: %s", meeting, problem.detail)
        return None


async def _take_presence(
    connection: Connection, batch: ReceivedBatch, fact: ParticipantJoined | ParticipantLeft, at: datetime
) -> None:
    if isinstance(fact, ParticipantJoined):
        if not await participants.mark_joined(connection, fact.room, fact.participant, batch.node, at):
            raise Unfit("unknown_participant")
        await _event(connection, outbox.MEETING_EVENTS, "meeting.user_joined", fact)
        return
    if await participants.mark_left(connection, fact.room, fact.participant, at, fact.reason):
        await _event(connection, outbox.MEETING_EVENTS, "meeting.user_left", fact)
    elif await participants.by_id(connection, fact.room, fact.participant) is None:
        raise Unfit("unknown_participant")


async def _take_track(connection: Connection, fact: TrackPublished | TrackUnpublished, at: datetime) -> None:
    if isinstance(fact, TrackPublished):
        await rooms.publish_track(connection, fact, at)
        await _event(connection, outbox.MEDIA_EVENTS, "track.published", fact)
        return
    await rooms.unpublish_track(connection, fact.room, fact.track, at)
    await _event(connection, outbox.MEDIA_EVENTS, "track.unpublished", fact)


async def _take_recording(
    connection: Connection,
    batch: ReceivedBatch,
    fact: _RecordingFact,
    at: datetime,
    host: str,
) -> None:
    match fact:
        case RecordingStarted():
            known = await recordings.confirm(connection, fact.recording, fact.room, at)
            kind = "recording.confirmed"
        case RecordingStalled():
            known = await recordings.set_stalled(connection, fact.recording, fact.room, fact.reason)
            kind = "recording.stalled"
        case RecordingResumed():
            known = await recordings.set_stalled(connection, fact.recording, fact.room, None)
            kind = "recording.resumed"
        case SegmentClosed():
            known = await recordings.add_segment(connection, fact, at)
            kind = "recording.segment_closed"
        case RecordingFinished():
            known = await recordings.finish(connection, fact, at)
            if known and fact.duration_ms > 0:
                await films.queue(connection, fact.recording, batch.node, host, fact.duration_ms)
            if known:
                await egresses.recorded(connection, fact.recording, batch.node, host)
            kind = "recording.processed"
    if not known:
        raise Unfit("unknown_recording")
    await _event(connection, outbox.MEDIA_EVENTS, kind, fact)


async def _event(connection: Connection, topic: str, kind: str, fact: AnyFact) -> None:
    payload: dict[str, Any] = msgspec.to_builtins(fact)
    payload.pop("kind")
    payload["meeting"] = payload.pop("room")
    traceparent = tracing.read(payload.pop("traceparent", ""))
    await outbox.append(connection, topic, fact.room, kind, payload, traceparent=traceparent)


def _time(ms: int) -> datetime:
    if not 0 <= ms <= _MAX_MS:
        raise ValueError(f"{ms} is not a time")
    return datetime.fromtimestamp(ms / 1000, UTC)
