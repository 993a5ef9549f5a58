"""Demand for the layers of a published track (dynacast): the publisher may stop the others.

A wanted layer is requested at once, so that it is back within a second. A layer that nobody wants any longer is kept
for a while, since subscribers change their minds and restarting a layer costs a keyframe.
"""

from collections.abc import Iterable

_KEPT_NS = 10_000_000_000


class LayerDemand:
    """The demand for one track. Layers are indices, 0 the lowest."""

    def __init__(self, layers: int, now: int, *, idle: bool = False) -> None:
        """Start with all layers wanted, or with none if `idle`."""
        self._wanted_at = [now - _KEPT_NS if idle else now] * layers
        self._active: frozenset[int] = frozenset() if idle else frozenset(range(layers))

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(self._wanted_at)

    @property
    def active(self) -> frozenset[int]:
        """The layers that the publisher should send."""
        return self._active

    def update(self, wanted: Iterable[int], now: int, *, hasty: bool = False) -> bool:
        """Take the layers wanted now; return whether `active` changed. The lowest stays active, to serve newcomers at
        once.

        While nobody wants any layer, none is active. `hasty` drops unwanted layers at once.
        """
        wanted = set(wanted)
        for layer in wanted:
            if 0 <= layer < len(self._wanted_at):
                self._wanted_at[layer] = now
        kept = 1 if hasty else _KEPT_NS
        recent = {layer for layer, at in enumerate(self._wanted_at) if now - at < kept}
        if recent:
            recent.add(0)
        changed = frozenset(recent) != self._active
        self._active = frozenset(recent)
        return changed

    def timer(self) -> int | None:
        """Return when the next layer expires unless somebody wants it."""
        return min((self._wanted_at[layer] + _KEPT_NS for layer in self._active if layer), default=None)


class StreamDemand:
    """Demand for the spatial and temporal layers of one stream. Layers are counted from 0, the lowest."""

    def __init__(self, spatial: int, temporal: int, now: int) -> None:
        """Start with no layer wanted; `spatial` and `temporal` are the numbers of layers."""
        self._demands = LayerDemand(spatial, now, idle=True), LayerDemand(temporal, now, idle=True)

    def update(self, wanted: tuple[int, int] | None, now: int) -> tuple[int, int] | None:
        """Take the highest layers wanted now (None: nothing); return the highest to send.

        A layer beyond the top counts as the top.
        """
        tops: list[int] = []
        for demand, layer in zip(self._demands, wanted or (None, None), strict=True):
            demand.update([min(layer, demand.layers - 1)] if layer is not None else [], now)
            tops.append(max(demand.active, default=-1))
        spatial, temporal = tops
        return (spatial, temporal) if spatial >= 0 else None
