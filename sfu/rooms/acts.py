"""Acts in a live room that control requests for an application (sfu.api.room_acts)."""

import msgspec

from sfu.api import signaling
from sfu.api.cascade_link import LinkData
from sfu.api.desired_state import Destination
from sfu.api.room_acts import (
    Act,
    DescribeParticipant,
    MuteTrack,
    RoomView,
    SayData,
    SeenParticipant,
    SendAway,
    WantTracks,
)
from sfu.api.signaling_values import WantedTrack
from sfu.rooms import data_routing, describing, desired_state, publishing, subscribing
from sfu.rooms.live_room import LiveRoom


def view(room: LiveRoom) -> RoomView:
    """Return the room as control sees it."""
    people = [
        SeenParticipant(info=room.info(participant), grants=participant.grants)
        for participant in room.participants.values()
        if not participant.is_notice
    ]
    return RoomView(
        room=room.room,
        opened_at=room.opened_unix_ms,
        participants=people,
        tracks=[uptrack.info() for uptrack in room.announced()],
        recording=room.taps.recording_state().active,
    )


def perform(room: LiveRoom, act: Act, now: int) -> bool:
    """Carry out an act as far as it concerns this node; return whether it did. Raises Refused."""
    match act:
        case SayData():
            said = LinkData(
                participant="", names=list(act.to), topic=act.topic, payload=act.payload, reliable=act.reliable
            )
            data_routing.announce(room, said, now)
            return True
        case DescribeParticipant():
            return _describe(room, act)
        case MuteTrack():
            return publishing.hush(room, act.track, now)
        case WantTracks():
            return _want(room, act, now)
        case SendAway():
            return _send_away(room, act, now)


def _describe(room: LiveRoom, act: DescribeParticipant) -> bool:
    participant = room.participants.get(act.participant)
    if participant is None or participant.link is not None:
        return False
    asked = signaling.Describe(name=act.name, metadata=act.metadata, attributes=act.attributes)
    describing.change(room, participant, asked)
    return True


def _send_away(room: LiveRoom, act: SendAway, now: int) -> bool:
    participant = room.participants.get(act.participant)
    if participant is None or participant.link is not None or participant.dialect is None:
        return False
    participant.dialect.take_token(act.token)
    desired_state.send_away(room, participant, Destination(meeting=act.meeting, title=act.title), now)
    return True


def _want(room: LiveRoom, act: WantTracks, now: int) -> bool:
    participant = room.participants.get(act.participant)
    if participant is None or participant.link is not None:
        return False
    wants = []
    for track in act.tracks:
        before = participant.wants.get(track, WantedTrack(track=track))
        wants.append(msgspec.structs.replace(before, on=act.on))
    subscribing.set_wants(room, participant, wants, now)
    if participant.dialect is not None:
        participant.dialect.take_wants(wants)
    return True
