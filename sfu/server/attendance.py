"""Outcomes of joins: log lines for finding a meeting, metrics of problems that callers notice, and spans.

Joining and leaving are logged as one line each; the second is a summary. A join that gets no media although somebody
sends is logged too. Joins are watched until their first packet in either direction.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prometheus_client import Counter, Histogram

from foundation import tracing
from foundation.background import cancel_all, keep_running
from sfu.api.facts import AnyFact, ParticipantJoined, ParticipantLeft, QualityMeasured, RoomClosed, RoomOpened
from sfu.rooms.node import Node
from sfu.rooms.participant import Participant

_log = logging.getLogger(__name__)
_MAX_WATCHED = 2000
_LOOK_SECONDS = 0.05  # the precision of measured times of up to a second
_PRECISION = 0.05  # that of longer ones, as a part of the time; quiet people are looked at ever less often
_PATIENCE_SECONDS = 25.0  # less than the time after which a peer that never connects is given up
OUTCOMES = ("media", "quiet", "left", "no_media")
_JOINS = Counter(
    "parley_sfu_joins",
    "Joins by outcome: media; quiet, if nobody sent anything; left before either; no_media, although somebody sent",
    ["outcome"],
)
_FIRST_MEDIA = Histogram(
    "parley_sfu_first_media_seconds",
    "Time from a join to its first packet",
    ["direction"],
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
for outcome in OUTCOMES:  # exported from the start, since an alert misses a counter's first change
    _JOINS.labels(outcome)
for direction in ("in", "out"):
    _FIRST_MEDIA.labels(direction)


@dataclass(slots=True)
class _Wait:
    """The wait for the first packet of one direction."""

    came: Callable[[Participant], bool]
    promised: Callable[[Participant, int], bool]
    span: tracing.Span | None = None
    over: bool = False

    def end(self, outcome: str, error: str = "") -> None:
        self.over = True
        if self.span is not None:
            self.span.note({"outcome": outcome})
            self.span.end(error)
            self.span = None


@dataclass(slots=True)
class _Attendance:
    """A participant in a room. `media` is the time from joining to its first packet, in seconds."""

    room: str
    participant: str
    since: float
    waits: dict[str, _Wait] = field(default_factory=dict)
    media: float | None = None
    is_told: bool = False
    look_at: float = 0.0
    loss: dict[str, float] = field(default_factory=dict)
    freezes: int = 0


class Attendances:
    """Takes the node's facts, which report everybody who joins and leaves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._present: dict[tuple[str, str], _Attendance] = {}
        self._watched: dict[tuple[str, str], _Attendance] = {}
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(keep_running("attendances", self._watch))

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            await cancel_all([self._task])
        for one in self._watched.values():
            for wait in one.waits.values():
                wait.end("the node is stopping")

    def trace(self, room: str, participant: str, traceparent: str) -> None:
        """Make spans of a join's first packets children of `traceparent`, if there is one."""
        one = self._attend(room, participant)
        if not traceparent or (room, participant) not in self._watched:
            return
        about = {"meeting": room, "participant": participant}
        for direction, wait in one.waits.items():
            if wait.span is None and not wait.over:
                wait.span = tracing.start(f"sfu.first_packet_{direction}", traceparent, about)

    def take(self, facts: Iterable[AnyFact]) -> None:
        """Log a fact, and begin or stop watching."""
        for fact in facts:
            match fact:
                case ParticipantJoined():
                    self._attend(fact.room, fact.participant)
                    kind = "an account" if fact.user else "a guest"
                    trace = fact.traceparent.split("-")[1] if fact.traceparent else None
                    _log.info("%s: %s joined, %s", fact.room, fact.participant, kind, extra={"trace": trace})
                case QualityMeasured():
                    self._measured(fact)
                case ParticipantLeft():
                    self._left(fact)
                case RoomOpened():
                    _log.info("%s: opened", fact.room)
                case RoomClosed():
                    _log.info("%s: closed%s", fact.room, ", and moved to another node" if fact.moved else "")
                    for key in [key for key in self._present if key[0] == fact.room]:  # participants who move with it
                        self._conclude(self._present.pop(key), "left")
                        self._watched.pop(key, None)

    def _attend(self, room: str, participant: str) -> _Attendance:
        key = room, participant
        one = self._present.get(key)
        if one is None:
            one = self._present[key] = _Attendance(room, participant, time.monotonic())
            if len(self._watched) < _MAX_WATCHED:
                one.waits = {
                    "in": _Wait(_has_sent, _announces),
                    "out": _Wait(self._has_been_sent, _expects),
                }
                self._watched[key] = one
                self._some.set()
        return one

    def _measured(self, fact: QualityMeasured) -> None:
        one = self._present.get((fact.room, fact.participant))
        if one is None:
            return
        for direction in ("publish", "subscribe"):
            losses = [track.loss for track in fact.tracks if track.direction == direction]
            if losses:
                one.loss[direction] = max(losses)
        one.freezes += sum(track.freezes for track in fact.tracks if track.direction == "subscribe")

    def _left(self, fact: ParticipantLeft) -> None:
        one = self._present.pop((fact.room, fact.participant), None)
        if one is None:
            return
        if self._watched.pop((fact.room, fact.participant), None) is not None:
            self._conclude(one, "left")
        media = "without media" if one.media is None else f"first media after {one.media:.2f} s"
        losses = "".join(
            f", lost {one.loss[direction]:.1%} of what it {verb}"
            for direction, verb in (("publish", "sent"), ("subscribe", "received"))
            if direction in one.loss
        )
        freezes = f", {one.freezes} freezes" if one.freezes else ""
        _log.info(
            "%s: %s left after %.0f s (%s), %s%s",
            fact.room, fact.participant, time.monotonic() - one.since, fact.reason, media, losses + freezes,
        )  # fmt: skip

    async def _watch(self) -> None:
        while True:
            if not self._watched:
                self._some.clear()
                await self._some.wait()
            self.look(time.monotonic())
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self, now: float) -> int:
        """Check for the first packets of those whose turn it is; return their number."""
        due = [(key, one) for key, one in self._watched.items() if now >= one.look_at]
        for key, one in due:
            one.look_at = now + (now - one.since) * _PRECISION
            if self._look(one, now):
                del self._watched[key]
        return len(due)

    def _look(self, one: _Attendance, now: float) -> bool:
        """Check for first packets; return True once there is nothing more to wait for."""
        person = self._find(one.room, one.participant)
        if person is None:  # a fact reports its leaving, which ends the watch
            return False
        for direction, wait in one.waits.items():
            if not wait.over and wait.came(person):
                elapsed = now - one.since
                _FIRST_MEDIA.labels(direction).observe(elapsed)
                one.media = elapsed if one.media is None else one.media
                wait.end("came")
        if all(wait.over for wait in one.waits.values()):
            self._count(one, "media")
            return True
        if now - one.since < _PATIENCE_SECONDS:
            return False
        at = round(now * 1e9)
        promised = {direction: wait.promised(person, at) for direction, wait in one.waits.items() if not wait.over}
        if one.media is None and any(promised.values()):
            reason = "it is connected, but gets nothing" if _is_reached(person) else "neither UDP nor TCP reaches it"
            _log.warning("%s: %s has no media after %.0f s: %s", one.room, one.participant, _PATIENCE_SECONDS, reason)
        self._conclude(one, "no_media" if any(promised.values()) else "quiet", promised)
        return True

    def _conclude(self, one: _Attendance, outcome: str, promised: dict[str, bool] | None = None) -> None:
        """End the waits. Only a packet that was announced and did not arrive is an error."""
        for direction, wait in one.waits.items():
            if not wait.over:
                missing = (promised or {}).get(direction, False)
                wait.end("none came" if missing else outcome, "none came" if missing else "")
        self._count(one, outcome if one.media is None else "media")

    def _count(self, one: _Attendance, outcome: str) -> None:
        if not one.is_told:
            one.is_told = True
            _JOINS.labels(outcome).inc()

    def _find(self, room: str, participant: str) -> Participant | None:
        found = self._node.rooms.get(room)
        return found.participants.get(participant) if found is not None else None

    def _has_been_sent(self, person: Participant) -> bool:
        receiving = person.subscription or person.whep_player
        if receiving is None:
            return False
        engine = self._node.context.engine
        downtracks = receiving.subscribe_peer.downtracks.values()
        return any(d.stream is not None and engine.route_state(d.route).packets > 0 for d in downtracks)


def _has_sent(person: Participant) -> bool:
    return person.publish is not None and any(stream.packets for stream in person.publish.streams.values())


def _is_reached(person: Participant) -> bool:
    """Return True if ICE and DTLS have connected one of the participant's peers."""
    receiving = person.subscription or person.whep_player
    peers = [person.publish, receiving.subscribe_peer if receiving is not None else None]
    return any(media is not None and media.peer.connected for media in peers)


def _announces(person: Participant, _: int) -> bool:
    """Return True if the participant wants to send, but is not connected; whoever is connected may just be silent."""
    publish = person.publish
    if publish is None or publish.peer.connected:
        return False
    return any(not track.is_quiet for track in publish.uptracks.values())


def _expects(person: Participant, now: int) -> bool:
    """Return True if something that the participant watches or hears flows; muted people send nothing."""
    receiving = person.subscription or person.whep_player
    shown = [] if receiving is None else receiving.subscribe_peer.downtracks.values()
    return any(
        track.uptrack is not None and not track.paused and any(stream.active(now) for stream in track.uptrack.streams)
        for track in shown
    )
