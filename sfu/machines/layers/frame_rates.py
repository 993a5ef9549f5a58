"""Detection of layers with too few frames: a large picture at a low frame rate is worse than a smaller one that moves.

A publisher whose link is too slow encodes few frames of its higher layers rather than none. A layer with less than half
the frames of the one below is left for a while, longer each time: its recovery shows only when it is sent again, and
each return costs a keyframe.
"""

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

Layer = TypeVar("Layer", bound=Hashable)

_SHARE = 0.5
_WINDOWS = 2  # consecutive windows, since one may have had a pause in it
_LEFT_NS, _LONGEST_NS = 10_000_000_000, 80_000_000_000
_RECOVERED_NS = 20_000_000_000


class FrameRate(NamedTuple):
    """The frame rate (frames a second, 0 if unknown) of a layer in the window that ended at `measured_at`."""

    frames: float
    measured_at: int


class _Slowness:
    __slots__ = ("left_until", "measured_at", "wait", "windows")

    def __init__(self) -> None:
        self.measured_at = self.windows = self.left_until = 0
        self.wait = _LEFT_NS


class FrameRates(Generic[Layer]):
    """The frame rates of one track's layers."""

    def __init__(self) -> None:
        self._slow: dict[Layer, _Slowness] = {}

    def slow(self, layers: Sequence[tuple[Layer, FrameRate | None]], now: int) -> frozenset[Layer]:
        """Take the layers, lowest first, None for one that does not flow; return the layers to leave."""
        for gone in self._slow.keys() - {layer for layer, _ in layers}:
            del self._slow[gone]
        below = 0.0
        for layer, rate in layers:
            entry = self._slow.get(layer)
            is_left = entry is not None and now < entry.left_until
            if rate is None or not rate.frames or is_left:
                continue
            self._judge(layer, rate, below, now)
            below = rate.frames
        return frozenset(layer for layer, entry in self._slow.items() if now < entry.left_until)

    def _judge(self, layer: Layer, rate: FrameRate, below: float, now: int) -> None:
        entry = self._slow.setdefault(layer, _Slowness())
        if rate.measured_at == entry.measured_at:
            return
        entry.measured_at = rate.measured_at
        entry.windows = entry.windows + 1 if rate.frames < _SHARE * below else 0
        if entry.windows >= _WINDOWS:
            entry.windows = 0
            recovered = entry.left_until and now - entry.left_until >= _RECOVERED_NS
            entry.wait = min(entry.wait * 2, _LONGEST_NS) if entry.left_until and not recovered else _LEFT_NS
            entry.left_until = now + entry.wait
