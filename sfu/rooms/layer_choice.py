"""Which layer of an uptrack a subscriber gets: the policy, as a function.

Now: the highest layer that is flowing. The highest is told by its measured bitrate, since publishers list their rids in
either order; a challenger must be clearly larger, so that two layers of like rates do not alternate.
"""

from collections.abc import Sequence

from sfu.rooms.ingress_stream import IngressStream

_CLEARLY_LARGER = 1.3


def choose_layer(streams: Sequence[IngressStream], current: IngressStream | None, now: int) -> IngressStream | None:
    """Return the stream to carry, None when the uptrack has none yet.

    While none is flowing, the current one, else the first, is kept so that its first keyframe is awaited.
    """
    flowing = [stream for stream in streams if stream.active(now)]
    if not flowing:
        return current if current in streams else next(iter(streams), None)
    best = max(flowing, key=lambda stream: stream.bits_per_second)
    if current in flowing and best.bits_per_second < current.bits_per_second * _CLEARLY_LARGER:
        return current
    return best
