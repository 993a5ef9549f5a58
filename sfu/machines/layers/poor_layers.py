"""Detection of layers that show less than the one below: a publisher whose link is too slow encodes its higher layers
with few frames, or with few bits, before it drops them.

Watchers leave such a layer while it still flows, so that they see no gap. It is left for a while, longer each time: its
recovery shows only when it is sent again, and each return costs a keyframe.

Few bits alone say little, since a still picture costs little in all layers. They count if a higher layer has stalled.
"""

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

Layer = TypeVar("Layer", bound=Hashable)

_FRAMES_SHARE = 0.5
_BITS_SHARE = 1.6  # a layer has four times the pixels of the one below, and usually 2.7 times its bits
_WINDOWS = 2  # consecutive windows, since one may have had a pause in it
_LEFT_NS, _LONGEST_NS = 10_000_000_000, 80_000_000_000
_RECOVERED_NS = 20_000_000_000


class LayerRate(NamedTuple):
    """Frames and bits a second of a layer, 0 if unknown, in the window that ended at `measured_at`."""

    frames: float
    bits: float
    measured_at: int


class _Judged:
    __slots__ = ("left_until", "measured_at", "wait", "windows")

    def __init__(self) -> None:
        self.measured_at = self.windows = self.left_until = 0
        self.wait = _LEFT_NS


class PoorLayers(Generic[Layer]):
    """The layers of one track."""

    def __init__(self) -> None:
        self._judged: dict[Layer, _Judged] = {}

    def poor(
        self, layers: Sequence[tuple[Layer, LayerRate | None]], now: int, *, stalled: Layer | None = None
    ) -> frozenset[Layer]:
        """Take the layers, lowest first, None for one that does not flow; return the layers to leave.

        `stalled`: the highest layer that has stalled.
        """
        for gone in self._judged.keys() - {layer for layer, _ in layers}:
            del self._judged[gone]
        names = [layer for layer, _ in layers]
        short = names.index(stalled) if stalled in names else 0
        below: LayerRate | None = None
        for place, (layer, rate) in enumerate(layers):
            entry = self._judged.get(layer)
            is_left = entry is not None and now < entry.left_until
            if rate is None or not rate.frames or is_left:
                continue
            is_poor = below is not None and (
                rate.frames < _FRAMES_SHARE * below.frames or (place < short and rate.bits < _BITS_SHARE * below.bits)
            )
            self._judge(layer, rate.measured_at, now, is_poor=is_poor)
            below = rate
        return frozenset(layer for layer, entry in self._judged.items() if now < entry.left_until)

    def _judge(self, layer: Layer, measured_at: int, now: int, *, is_poor: bool) -> None:
        entry = self._judged.setdefault(layer, _Judged())
        if measured_at == entry.measured_at:
            return
        entry.measured_at = measured_at
        entry.windows = entry.windows + 1 if is_poor else 0
        if entry.windows >= _WINDOWS:
            entry.windows = 0
            recovered = entry.left_until and now - entry.left_until >= _RECOVERED_NS
            entry.wait = min(entry.wait * 2, _LONGEST_NS) if entry.left_until and not recovered else _LEFT_NS
            entry.left_until = now + entry.wait
