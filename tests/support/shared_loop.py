"""A subscriber's link shared with other traffic, in simulated time: our estimator and allocator beside TCP downloads.

The source sends sound and the granted layer, as granted by `sfu/rooms/adaptation.py`.
"""

from collections import deque
from dataclasses import dataclass, field

from sfu.machines.congestion.dips import Dips
from sfu.machines.layers.layer_allocator import PAUSED, Demand, LayerAllocator, Rank
from tests.support.closed_loop import MS, SECOND, ClosedLoop
from tests.support.tcp_flow import SIZE, TcpFlow

SOUND = 40_000.0
LAYERS = (150_000.0, 500_000.0, 1_700_000.0)
_SOUND_NS = 20 * MS
_ALLOCATE_NS = 200 * MS
_FRAME_NS = SECOND // 30
_KEYFRAME = 4
_MEDIA_SHARE = 0.98
_PROBE_MARGIN = 1.2


@dataclass
class SharedLoop(ClosedLoop):
    """Results: `granted` are the layers every 200 ms, `arrived` our bytes; TCP starts at `tcp_at`."""

    flows: list[TcpFlow] = field(default_factory=list)
    tcp_at: int = 5 * SECOND
    layers: tuple[float, ...] = LAYERS
    granted: list[int] = field(default_factory=list)
    arrived: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._allocator: LayerAllocator[str] = LayerAllocator()
        self._dips = Dips()
        self._layer = PAUSED
        self._allocate_at = self._sound_at = 0
        self._acknowledgements: deque[tuple[int, TcpFlow, int]] = deque()
        self._is_key = False

    def _make_frame(self) -> None:
        if self.now >= self._allocate_at:
            self._allocate_at += _ALLOCATE_NS
            self._allocate()
        if self.now >= self._sound_at:
            self._sound_at += _SOUND_NS
            self._send(-1, int(SOUND / 8 / 50))
        if self.now < self._next_frame:
            return
        self._next_frame += _FRAME_NS
        if self._layer != PAUSED:
            size = int(self.layers[self._layer] / 8 / 30) * (_KEYFRAME if self._is_key else 1)
            self._is_key = False
            self._queue_frame(size)

    def _allocate(self) -> None:
        estimator = self.estimator
        carried = SOUND + (self.layers[self._layer] if self._layer != PAUSED else 0.0)
        rate = self._dips.sit_out(
            estimator.rate * _MEDIA_SHARE,
            carried,
            estimator.queueing,
            self.now,
            loss=estimator.state.loss,
            is_last=self._layer == 0,
        )
        if self.now < 1500 * MS and estimator.is_free:
            rate = max(rate, SOUND + self.layers[0] * _PROBE_MARGIN)
        allocation = self._allocator.allocate(rate, SOUND, [Demand("a", Rank.SPEAKER, self.layers)], self.now)
        self.wanted = (allocation.wanted + SOUND) * _PROBE_MARGIN / _MEDIA_SHARE
        layer = allocation.grants["a"].layer
        if layer != self._layer:
            self._is_key = layer != PAUSED
            self._queue.clear()
        self._layer = layer
        self.granted.append(layer)

    def _pace(self) -> None:
        super()._pace()
        if self.now >= self.tcp_at:
            for flow in self.flows:
                for number in flow.due(self.now):
                    self._link.push((number, flow, SIZE, self.now), SIZE, self.now)

    def _take(self, at: int, packet: tuple[int, object, int, int]) -> None:
        number, flow, size, _ = packet
        if isinstance(flow, TcpFlow):
            self._acknowledgements.append((at + self.feedback_delay, flow, number))
        else:
            self.arrived += size
            super()._take(at, packet)

    def _arrive(self) -> None:
        super()._arrive()
        while self._acknowledgements and self._acknowledgements[0][0] <= self.now:
            _, flow, number = self._acknowledgements.popleft()
            flow.acknowledged(number, self.now)
