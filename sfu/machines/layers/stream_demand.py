"""Up to which layers anybody wants one stream, in space and in time; see layer_demand for how long that holds."""

from sfu.machines.layers.demand import LayerDemand


class StreamDemand:
    """One per stream. Layers are counted from 0, the lowest."""

    def __init__(self, spatial: int, temporal: int, now: int) -> None:
        """`spatial` and `temporal` are how many layers there are; none is wanted yet."""
        self._demands = LayerDemand(spatial, now, idle=True), LayerDemand(temporal, now, idle=True)

    def update(self, wanted: tuple[int, int] | None, now: int) -> tuple[int, int] | None:
        """Take the highest layers wanted now, None: nothing; return the highest to be sent. What is beyond counts as
        the top."""
        tops: list[int] = []
        for demand, layer in zip(self._demands, wanted or (None, None), strict=True):
            demand.update([min(layer, demand.layers - 1)] if layer is not None else [], now)
            tops.append(max(demand.active, default=-1))
        spatial, temporal = tops
        return (spatial, temporal) if spatial >= 0 else None
