"""The load of a room, as far as its node can tell: its incoming and outgoing packets and bits."""

from collections.abc import Iterable, Iterator

from sfu.api.registration import RoomLoad
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.rooms.live_room import LiveRoom

_BITS_A_PACKET = 8000.0
_LEAST_PACKETS = 50.0
"""The packets per second of one voice."""
_A_PARTICIPANT = 50.0
"""The packets per second that would cost as much as a participant's feedback, reports, checks and signaling."""


def load_of(room: LiveRoom, now: int) -> RoomLoad:
    """Return the load of a room; its weight is the approximate number of packets per second."""
    own = {participant.participant for participant in room.own()}
    came, went = list(_received(room, now)), list(_sent(room, now))
    return RoomLoad(
        room=room.room,
        participants=len(own),
        weight=round(_packets(stream for stream, _ in came) + _packets(went) + len(own) * _A_PARTICIPANT, 1),
        nodes=1 + len(room.links),
        kbps_in=_kbps(stream for stream, by in came if by in own),
        kbps_out=_kbps(went),
    )


def _received(room: LiveRoom, now: int) -> Iterator[tuple[IngressStream, str]]:
    """Yield what flows in, each with its participant, who may be on another node of the room."""
    for uptrack in room.uptracks.values():
        yield from ((stream, uptrack.participant) for stream in uptrack.streams if stream.active(now))


def _sent(room: LiveRoom, now: int) -> Iterator[IngressStream]:
    for participant in room.own():
        receiving = participant.subscription or participant.whep_player
        if receiving is not None:
            shown = (downtrack.stream for downtrack in receiving.subscribe_peer.downtracks.values())
            yield from (stream for stream in shown if stream is not None and stream.active(now))


def _packets(streams: Iterable[IngressStream]) -> float:
    return sum(_LEAST_PACKETS + stream.bits_per_second / _BITS_A_PACKET for stream in streams)


def _kbps(streams: Iterable[IngressStream]) -> int:
    return round(sum(stream.bits_per_second for stream in streams) / 1000)
