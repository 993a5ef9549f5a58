"""Detection of stalled layers, which their publisher has stopped sending while others of the track continue.

A publisher short of bandwidth or of processor time drops its top layers without notice. The other layers distinguish a
still picture from a stalled layer, since all layers of a track encode the same pictures. An encoder may also pause a
small layer after a keyframe until its bit budget has recovered; leaving the layer then would cost another keyframe.

Before a publisher drops a layer, it sends less and less of it. One that sinks like this counts as stalled while it
still flows, so that watchers see no gap.

A sender whose estimate rises tries a higher layer for a second, and often drops it again. Following it would cost two
keyframes, and a freeze until the second. So a layer that has stalled must flow for a while before it counts again, for
longer if it stalls again soon. The lowest layer is what remains if others stall, and counts again soon.
"""

from collections.abc import Collection, Hashable, Mapping
from typing import Generic, NamedTuple, TypeVar

Layer = TypeVar("Layer", bound=Hashable)

_STALLED_NS = 150_000_000
_UNKNOWN_STALLED_NS = 250_000_000  # of a layer whose frame rate is unknown
_AFTER_KEYFRAME_NS = 750_000_000
_INTERVALS = 2.5  # missed frames
_SCREEN_NS = 4_000_000_000
_SIBLING_FRAMES = 3
_LOWEST_BACK_NS = 500_000_000
_BACK_NS, _LONGEST_BACK_NS = 2_000_000_000, 8_000_000_000
_LASTED_NS = 20_000_000_000
_SECOND = 1_000_000_000


class LayerProgress(NamedTuple):
    """Progress of a layer: frames so far, when the last began to arrive (ns), frames a second (0 if unknown), and
    whether the last is a keyframe. Repairs, which may arrive long after a layer has stopped, are no progress.
    """

    frames: int
    last_frame: int
    frame_rate: float
    after_keyframe: bool = False


class _Watch:
    __slots__ = ("counted_at", "frames", "returned_at", "siblings", "stalled", "wait")

    def __init__(self) -> None:
        self.frames = -1
        self.siblings: dict[Hashable, int] = {}
        self.stalled = False
        self.returned_at: int | None = None
        self.counted_at: int | None = None
        self.wait = _BACK_NS

    def stall(self, now: int) -> None:
        if not self.stalled:
            lasted = self.counted_at is None or now - self.counted_at >= _LASTED_NS
            self.wait = _BACK_NS if lasted else min(2 * self.wait, _LONGEST_BACK_NS)
        self.stalled = True


class LayerLiveness(Generic[Layer]):
    """The liveness of the layers of one track, which may be a screen, checked several times a second. A stalled layer
    counts again once it has flowed for a while.
    """

    def __init__(self, *, is_screen: bool = False) -> None:
        self._watches: dict[Layer, _Watch] = {}
        self._least_patience = _SCREEN_NS if is_screen else 0

    def update(
        self,
        layers: Mapping[Layer, LayerProgress],
        now: int,
        *,
        lowest: Layer | None = None,
        resting: Collection[Layer] = (),
        returned: Collection[Layer] = (),
        sinking: Collection[Layer] = (),
    ) -> frozenset[Layer]:
        """Return the currently stalled layers, and with them those that are `sinking`: about to stall.

        Those that are `resting` on request neither stall nor recover. Those that have just `returned` on request count
        at once, unless another has stalled: then the sender may have no room for these either.
        """
        for gone in self._watches.keys() - layers.keys() - set(resting):
            del self._watches[gone]
        frames = {layer: progress.frames for layer, progress in layers.items()}
        for layer, progress in layers.items():
            watch = self._watches.setdefault(layer, _Watch())
            silent = now - progress.last_frame >= max(_patience(progress), self._least_patience)
            if progress.frames != watch.frames:
                watch.frames = progress.frames
                watch.siblings = {other: count for other, count in frames.items() if other != layer}
            outrun = any(
                frames[other] - count >= _SIBLING_FRAMES for other, count in watch.siblings.items() if other in frames
            )
            if layer in returned and layer != lowest and self._has_others_stalled(layer):
                watch.stall(now)
            if layer in sinking:
                watch.returned_at = None
                watch.stall(now)
                continue
            wait = _LOWEST_BACK_NS if layer == lowest else watch.wait
            self._judge(watch, silent=silent, outrun=outrun, wait=wait, now=now)
        return frozenset(layer for layer, watch in self._watches.items() if watch.stalled)

    def _has_others_stalled(self, layer: Layer) -> bool:
        return any(watch.stalled for other, watch in self._watches.items() if other != layer)

    @staticmethod
    def _judge(watch: _Watch, *, silent: bool, outrun: bool, wait: int, now: int) -> None:
        if silent:
            watch.returned_at = None
            if outrun:
                watch.stall(now)
        elif watch.stalled:
            if watch.returned_at is None:
                watch.returned_at = now
            elif now - watch.returned_at >= wait:
                watch.stalled = False
                watch.counted_at = now


def _patience(progress: LayerProgress) -> int:
    missed = int(_INTERVALS * _SECOND / progress.frame_rate) if progress.frame_rate > 0 else _UNKNOWN_STALLED_NS
    return max(missed, _AFTER_KEYFRAME_NS if progress.after_keyframe else _STALLED_NS)
