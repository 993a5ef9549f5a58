"""Participants without signaling: WHIP publishers (RFC 9725) and WHEP players on the same core."""

from sfu.rooms import distribution, publishing, subscribing
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner
from sfu.rooms.playback import Playback
from sfu.rooms.refusal import Code, Refused
from sfu.rooms.room import Room


def publish(room: Room, participant: Participant, sdp: str, now: int) -> str:
    """Take a WHIP offer; returns the answer; raises Refused."""
    change = publishing.offer(room, participant, sdp, {}, now)
    publishing.announce(room, participant, change, {}, now)
    return change.answer.sdp


def play(room: Room, participant: Participant, sdp: str, now: int) -> str:
    """Take a WHEP offer; returns the answer; raises Refused."""
    if not participant.grants.subscribe:
        raise Refused(Code.NOT_PERMITTED, "You may not receive here.")
    subscribing.end(room, participant, now)
    playback = Playback(room.context, now)
    try:
        answer = playback.answer(sdp, now)
    except ValueError as error:
        playback.egress.close(now)
        raise Refused(Code.OFFER_REFUSED, f"The offer cannot be answered: {error}") from error
    participant.playback = playback
    room.peers.add(Owner(room, participant, playback.egress))
    distribution.refresh(room, participant, now)
    room.touch(playback.egress.peer.number)
    return answer.sdp
