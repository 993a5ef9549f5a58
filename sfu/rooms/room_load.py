"""The load of a room, as far as its node can tell: its incoming and outgoing packets."""

from sfu.peers.publish.ingress_stream import IngressStream
from sfu.rooms.live_room import LiveRoom

_BITS_A_PACKET = 8000.0
_LEAST_PACKETS = 50.0
"""The packets per second of one voice."""
_A_PARTICIPANT = 50.0
"""The packets per second that would cost as much as a participant's feedback, reports, checks and signaling."""


def weight(room: LiveRoom, now: int) -> float:
    """Return the approximate number of packets per second of a room."""
    total = 0.0
    for uptrack in room.uptracks.values():
        total += sum(_packets(stream) for stream in uptrack.streams if stream.active(now))
    for participant in room.own():
        total += _A_PARTICIPANT
        receiving = participant.subscription or participant.whep_player
        if receiving is not None:
            shown = (downtrack.stream for downtrack in receiving.subscribe_peer.downtracks.values())
            total += sum(_packets(stream) for stream in shown if stream is not None and stream.active(now))
    return total


def _packets(stream: IngressStream) -> float:
    return _LEAST_PACKETS + stream.bits_per_second / _BITS_A_PACKET
