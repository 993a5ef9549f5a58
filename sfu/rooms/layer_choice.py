"""Which layer of an uptrack a subscriber or a sink gets: the policy, as a function.

What was granted (see adaptation), else the highest layer that is flowing. The highest is told by its measured bitrate,
since publishers list their rids in either order; a challenger must be clearly larger, so that two layers of like rates
do not alternate.
"""

from collections.abc import Sequence

from sfu.rooms.ingress_stream import IngressStream

_CLEARLY_LARGER = 1.3


def choose_smallest(streams: Sequence[IngressStream], current: IngressStream | None, now: int) -> IngressStream | None:
    """Return the smallest layer that flows, for a sink that looks at pictures rather than keeps them."""
    flowing = [stream for stream in streams if stream.active(now)]
    if not flowing:
        return current if current in streams else next(iter(streams), None)
    least = min(flowing, key=lambda stream: stream.bits_per_second)
    if current in flowing and current.bits_per_second < least.bits_per_second * _CLEARLY_LARGER:
        return current
    return least


def choose_layer(
    streams: Sequence[IngressStream], current: IngressStream | None, now: int, granted: IngressStream | None = None
) -> IngressStream | None:
    """Return the stream to carry, None when the uptrack has none yet.

    While none is flowing, the current one, else the first, is kept so that its first keyframe is awaited. One that is
    granted but not flowing (its publisher had stopped it) is waited for with what flows.
    """
    flowing = [stream for stream in streams if stream.active(now)]
    if granted in flowing:
        return granted
    if granted is not None and current in flowing:
        return current
    if not flowing:
        return current if current in streams else next(iter(streams), None)
    best = max(flowing, key=lambda stream: stream.bits_per_second)
    if current in flowing and best.bits_per_second < current.bits_per_second * _CLEARLY_LARGER:
        return current
    return best
