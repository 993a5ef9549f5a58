"""The notice that a meeting is being recorded, which everyone hears when recording begins or they join.

It is a track of a participant that exists only for its listeners, has no session, and is reported to nobody. Sinks get
nothing of it. Clients of other protocols need to know a track's participant, and are told of it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sfu import sounds
from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.api.signaling_values import Permitted
from sfu.engine.contract import Leftover
from sfu.peers.context import random_id
from sfu.peers.publish.played_sound import PlayedSound
from sfu.rooms import distribution
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.notice import Notice
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner

KIND = "notice"
_NAMES = {"en": "Recording notice", "zh-CN": "录制提示"}
_SETTLE_NS = 700_000_000
"""The time in which listeners that are connected prepare to play the track."""
_PATIENCE_NS = 3_000_000_000
"""The time for which those who are connected wait for the others."""
_LONGEST_WAIT_NS = 15_000_000_000
"""The time after which a notice is given up if nobody is connected."""
_LOOK_NS = 200_000_000
_LINGER_NS = 1_000_000_000
"""The time for which the track stays after its end: the sound is still on its way."""
_AT_ONCE = 8
"""The most notices of a room at the same time; further newcomers share the next."""


class NoticeKey(NamedTuple):
    """The place of a room's notices in the schedule."""

    room: str


def begin_for_all(room: LiveRoom, before: DesiredState | None, now: int) -> None:
    """Begin the notice for everyone, if recording has just begun in the desired state."""
    desired = room.desired
    if desired is None or desired.recording is None:
        return
    known = before.recording if before is not None else None
    if known is None or known.recording != desired.recording.recording:
        _begin(room, room.own(), now)


def begin_for(room: LiveRoom, participant: Participant, now: int) -> None:
    """Begin the notice for somebody who joins while the meeting is recorded."""
    if room.desired is not None and room.desired.recording is not None:
        _begin(room, [participant], now)


def _begin(room: LiveRoom, people: Iterable[Participant], now: int) -> None:
    assert room.desired is not None
    language = room.desired.notice
    listeners = [one.participant for one in people if one.grants.subscribe and not one.grants.hidden]
    if language == "none" or not listeners:
        return
    waiting = [notice for notice in room.notices if notice.sound is None]
    if waiting:
        listeners = [one for one in listeners if one not in waiting[-1].listeners]
        waiting[-1].listeners.extend(listeners)
    elif len(room.notices) < _AT_ONCE:
        room.notices.append(Notice(_participant(language), language, listeners, now))
    room.context.schedule.hasten(NoticeKey(room.room), now)


def _participant(language: str) -> Participant:
    grants = Grants(publish=(Source.MICROPHONE,), subscribe=False, chat=False, hidden=True)
    name = random_id(KIND)
    return Participant(
        name, _NAMES.get(language, name), None, grants, signaled=False, plain=True, kind=KIND, is_notice=True
    )


def play(room: LiveRoom, now: int) -> list[Leftover]:
    """Advance a room's notices; return the packets that are due, in the engine's form."""
    packets: list[Leftover] = []
    times: list[int] = []
    for notice in list(room.notices):
        if notice.sound is None and _is_awaited(room, notice, now):
            _publish(room, notice, now)
        if notice.sound is None:
            if now - notice.begun_at >= _LONGEST_WAIT_NS:
                room.notices.remove(notice)
            else:
                times.append(now + _LOOK_NS)
            continue
        packets += notice.sound.due(now)
        if notice.ends_at is None and notice.sound.next_at is None:
            notice.ends_at = now + _LINGER_NS
        at = notice.sound.next_at if notice.ends_at is None else notice.ends_at
        assert at is not None
        if at <= now:
            _end(room, notice, now)
        else:
            times.append(at)
    room.context.schedule.set(NoticeKey(room.room), min(times, default=None))
    return packets


def end_all(room: LiveRoom, now: int) -> None:
    """End all notices of a room, which closes."""
    for notice in list(room.notices):
        _end(room, notice, now)
    room.context.schedule.set(NoticeKey(room.room), None)


def _is_awaited(room: LiveRoom, notice: Notice, now: int) -> bool:
    """Return True if everyone can hear a notice, or somebody can who has waited long enough."""
    hear = [_can_hear(one) for one in _listening(room, notice)]
    return any(hear) and (all(hear) or now - notice.begun_at >= _PATIENCE_NS)


def _can_hear(participant: Participant) -> bool:
    holder = participant.subscription or participant.whep_player
    return bool(participant.senders) or (holder is not None and holder.subscribe_peer.peer.connected)


def _publish(room: LiveRoom, notice: Notice, now: int) -> None:
    participant = notice.participant
    packets = sounds.recording_notice(notice.language)
    begins = now + _SETTLE_NS
    sound = notice.sound = PlayedSound(room.context, participant.participant, packets, begins=begins, now=now)
    participant.publish = sound.peer
    participant.audience = tuple(Permitted(participant=one) for one in notice.listeners)
    room.participants[participant.participant] = participant
    room.uptracks[sound.uptrack.track] = sound.uptrack
    room.peers.add(Owner(room, participant, sound.peer))
    for listener in _listening(room, notice):
        if listener.dialect is not None:
            room.context.outbox.tell(listener.session, signaling.ParticipantJoined(participant=room.info(participant)))
        room.context.outbox.tell(listener.session, signaling.TrackPublished(track=sound.uptrack.info()))
    distribution.refresh_all(room, now)
    room.stir(now)


def _end(room: LiveRoom, notice: Notice, now: int) -> None:
    room.notices.remove(notice)
    if notice.sound is None:
        return
    name = notice.participant.participant
    uptrack = notice.sound.uptrack
    room.uptracks.pop(uptrack.track, None)
    room.participants.pop(name, None)
    room.peers.remove(notice.sound.peer.peer.number)
    for listener in _listening(room, notice):
        listener.wants.pop(uptrack.track, None)
        room.context.outbox.tell(listener.session, signaling.TrackUnpublished(track=uptrack.track))
        if listener.dialect is not None:
            room.context.outbox.tell(listener.session, signaling.ParticipantLeft(participant=name, reason="left"))
    distribution.refresh_all(room, now)
    notice.sound.peer.close()


def _listening(room: LiveRoom, notice: Notice) -> list[Participant]:
    return [room.participants[one] for one in notice.listeners if one in room.participants]
