"""Choice of the layer of an uptrack for a subscriber or a sink: the policy, as a function.

The choice is the granted layer (see adaptation), else the highest that flows. Layers are ordered by the size of their
pictures, since publishers list their rids in either order, and a large still picture can cost less than a small one.
Where sizes are unknown, measured bitrates decide. In that case a challenger must be clearly larger, so that two layers
of similar rates do not alternate.
"""

from collections.abc import Callable, Sequence

from sfu.peers.publish.ingress_stream import IngressStream

_CLEARLY_LARGER = 1.3


def is_higher(one: IngressStream, other: IngressStream, rates: tuple[float, float] | None = None) -> bool:
    """Return True if a layer is clearly higher than another, by size if known, else by measured `rates` (bits/s)."""
    if rates is None:
        rates = one.bits_per_second, other.bits_per_second
    if one.pixels and other.pixels and one.pixels != other.pixels:
        return one.pixels > other.pixels
    return rates[0] >= rates[1] * _CLEARLY_LARGER


def choose_smallest(streams: Sequence[IngressStream], current: IngressStream | None, now: int) -> IngressStream | None:
    """Return the smallest layer that flows, for a sink that analyses pictures rather than stores them."""
    flowing = [stream for stream in streams if stream.active(now)]
    if not flowing:
        return current if current in streams else next(iter(streams), None)
    least = min(flowing, key=_size_of(flowing))
    if current in flowing and not is_higher(current, least):
        return current
    return least


def choose_layer(
    streams: Sequence[IngressStream], current: IngressStream | None, now: int, granted: IngressStream | None = None
) -> IngressStream | None:
    """Return the stream to carry, None if the uptrack has none yet.

    While none flows, the choice stays with the current stream, or the first, and waits for its keyframe. Until a
    granted layer that its publisher had stopped flows again, one that flows is carried.
    """
    flowing = [stream for stream in streams if stream.active(now)]
    if granted in flowing:
        return granted
    if granted is not None and current in flowing:
        return current
    if not flowing:
        return current if current in streams else next(iter(streams), None)
    best = max(flowing, key=_size_of(flowing))
    if current in flowing and not is_higher(best, current):
        return current
    return best


def _size_of(streams: Sequence[IngressStream]) -> Callable[[IngressStream], tuple[int, float]]:
    """Return a sort key for streams: picture size, if all sizes are known, then bitrate."""
    are_sized = all(stream.pixels for stream in streams)
    return lambda stream: (stream.pixels if are_sized else 0, stream.bits_per_second)
