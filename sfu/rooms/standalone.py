"""Participants without signaling: WHIP publishers (RFC 9725) and WHEP players on the same core."""

from sfu.api.refusal import Code, Refused
from sfu.formats.codecs import Codec
from sfu.machines.negotiation.agreement import LocalTransport
from sfu.peers.peer import Peer
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.peers.subscribe.whep_player import WhepPlayer
from sfu.rooms import distribution, publishing, subscribing
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner


def publish(room: LiveRoom, participant: Participant, sdp: str, now: int) -> str:
    """Take a WHIP offer and return the answer; raises Refused."""
    change = publishing.offer(room, participant, sdp, {}, now)
    publishing.announce(room, participant, change, {}, now)
    return change.answer.sdp


def restart_ice(room: LiveRoom, participant: Participant, ufrag: str, pwd: str) -> LocalTransport:
    """Restart ICE on the participant's peer with the remote's new credentials; return ours. Raises Refused."""
    media: PublishPeer | SubscribePeer | None = participant.publish
    if participant.whep_player is not None:
        media = participant.whep_player.subscribe_peer
    if media is None or not isinstance(media.peer, Peer) or media.peer.closed:
        raise Refused(Code.UNKNOWN_SESSION, "There is no peer to restart.", fatal=True)
    media.peer.restart_ice(ufrag, pwd)
    room.peers.add(Owner(room, participant, media))
    room.touch(media.peer.number)
    return media.peer.local(room.context.candidates)


def play(room: LiveRoom, participant: Participant, sdp: str, codec: Codec | None, now: int) -> str:
    """Take a WHEP offer and return the answer; `codec`, if given, is the only video codec. Raises Refused."""
    if not participant.grants.subscribe:
        raise Refused(Code.NOT_PERMITTED, "You may not receive here.")
    subscribing.end(room, participant, now)
    whep_player = WhepPlayer(room.context, now)
    whep_player.subscribe_peer.flight = room.flight.of(participant.participant)
    try:
        answer = whep_player.answer(sdp, codec, now)
    except ValueError as error:
        whep_player.subscribe_peer.close(now)
        raise Refused(Code.OFFER_REFUSED, f"The offer cannot be answered: {error}") from error
    participant.whep_player = whep_player
    room.peers.add(Owner(room, participant, whep_player.subscribe_peer))
    distribution.refresh(room, participant, now)
    room.touch(whep_player.subscribe_peer.peer.number)
    return answer.sdp
