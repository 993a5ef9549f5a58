"""The layers of one published video, lowest first: their availability, their costs, and which the publisher should
send.

Layers are ordered by the size of their pictures, or where that is unknown by their cost (see layer_choice). A cost is
the median of the last seconds. Otherwise the keyframe of a switch would raise the new layer's cost and undo the switch.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from statistics import median_low

from sfu.machines.layers.demand import LayerDemand
from sfu.machines.layers.liveness import LayerLiveness, LayerProgress
from sfu.machines.layers.poor_layers import LayerRate, PoorLayers
from sfu.peers.layers.layer_choice import is_higher
from sfu.peers.publish.ingress_stream import IngressStream

_SECONDS, _SCREEN_SECONDS = 5, 10  # a new page of a screen takes a burst, which a link may carry more slowly
_AWAITED_NS = 1_000_000_000  # a layer requested again counts as available for so long
_UNMEASURED = float("inf")  # compared only if all costs are known
_UNKNOWN_RATES = (150_000.0, 500_000.0, 1_700_000.0)
UNKNOWN_RATE = 500_000.0  # bits/s of a single layer
_SAME_PRICE = 1.05
_FALLS, _HOLDS = 0.6, 0.7  # of the median of the last seconds
_FLOWING_NS = 100_000_000  # a layer with a frame this recent has not stalled yet

_Costs = tuple[tuple[tuple[int, int], float], ...]
"""Costs of the available layers: the stream's number, its lines, and bits/s."""


class CostChange(Enum):
    """A change of a video's layers: nothing that matters, the costs only, or which layers are available."""

    NONE = 0
    PRICES = 1
    LAYERS = 2


class LayerLadder:
    """The layers of one video uptrack. `available` lists the available streams, lowest first; see `observe`.

    The frames and bits of a screen come irregularly, so few of them say nothing about the publisher's link. `told` is
    the publisher's session that was last told which layers to send, with those layers. `changes` counts what calls for
    new allocations to those who see the video.
    """

    def __init__(self, *, is_screen: bool = False) -> None:
        self.available: list[IngressStream] = []
        self.told: tuple[int, tuple[str, ...]] | None = None
        self._rates: dict[int, float] = {}
        self._samples: dict[int, deque[float]] = {}
        self._sampled: dict[int, int] = {}
        self._order: list[IngressStream] = []
        self._demand: LayerDemand | None = None
        self._stopped: frozenset[int] = frozenset()
        self._returning: dict[int, int] = {}  # by stream that was requested again and does not flow yet: since when
        self._is_screen = is_screen
        self._liveness: LayerLiveness[int] = LayerLiveness(is_screen=is_screen)
        self._poor_layers: PoorLayers[int] = PoorLayers()
        self._has_stalled = False
        self._costs: _Costs = ()
        self.changes = 0

    def watch(self, streams: Sequence[IngressStream], now: int, *, waits: bool = False) -> bool:
        """Note which layers have stalled and which flow again; return whether that changed. Layers that may rest do not
        stall. `waits`: packets wait on their publisher's uplink.
        """
        sinking = self._sinking(now) if waits and len(streams) > 1 and not self._is_screen else ()
        if not sinking and not self._returning and not self._has_stalled and self._all_flow(streams, now):
            return False
        arrivals = {stream.number: stream.last_arrival for stream in streams}
        back = [number for number, asked in self._returning.items() if arrivals.get(number, 0) > asked]
        for number in back:
            del self._returning[number]
        if len(streams) < 2:
            return bool(back)
        resting = self._stopped | self._returning.keys()
        stalled = self._liveness.update(
            {
                stream.number: LayerProgress(
                    stream.progress.frames,
                    stream.progress.timestamp_at,
                    stream.frame_rate,
                    stream.progress.after_keyframe,
                )
                for stream in streams
                if stream.packets and stream.number not in resting
            },
            now,
            lowest=self._order[0].number if self._order else None,
            resting=resting,
            returned=back,
            sinking=sinking,
        )
        changed = bool(back)
        for stream in streams:
            is_stalled = stream.number in stalled
            changed |= is_stalled != stream.stalled
            stream.stalled = is_stalled
        self._has_stalled = bool(stalled - resting)
        return changed

    def _sinking(self, now: int) -> Collection[int]:
        """Return the highest layer if much less of it arrives than before, but as much as before of the others."""
        if not self._order or self._order[-1].number in self._stopped:
            return ()
        *others, highest = self._order
        holds = all(
            stream.bits_per_second >= _HOLDS * self._rates.get(stream.number, 0.0)
            for stream in others
            if stream.number not in self._stopped
        )
        return (highest.number,) if holds and highest.flows(now) and self._has_fallen(highest) else ()

    def _all_flow(self, streams: Iterable[IngressStream], now: int) -> bool:
        """Return True if a frame of every layer that does not rest began just now."""
        for stream in streams:  # every 100 ms for each room, so without a generator
            if now - stream.progress.timestamp_at >= _FLOWING_NS and stream.number not in self._stopped:
                return False
        return True

    def observe(self, streams: Sequence[IngressStream], now: int) -> None:
        """Measure the streams. A stream is available while it flows, or if we asked the publisher to stop it."""
        for stream in streams:
            rate, number = stream.bits_per_second, stream.number
            if stream.told_cost and (number not in self._samples or stream.share < 1 or not stream.active(now)):
                self._rates[number] = stream.told_cost
            flows = stream.active(now) and number not in self._stopped and number not in self._returning
            if flows and rate > 0 and stream.progress.measured_at != self._sampled.get(number):
                self._sampled[number] = stream.progress.measured_at
                self._sample(number, rate, stream.share)
            stream.cost = self._rates.get(number, 0.0)
        self._sort(streams)
        poor = self._poor(now)
        self.available = [
            stream
            for stream in self._order
            if (stream.active(now) or self._can_return(stream, now)) and stream.number not in poor
        ]
        present = {stream.number for stream in streams}
        for number in self._rates.keys() - present:
            del self._rates[number]
            self._samples.pop(number, None)
            self._sampled.pop(number, None)
            self._returning.pop(number, None)

    def _poor(self, now: int) -> frozenset[int]:
        if self._is_screen:
            return frozenset()
        rates = [(stream.number, self._layer_rate(stream, now)) for stream in self._order]
        stalled = next((stream.number for stream in reversed(self._order) if stream.stalled), None)
        return self._poor_layers.poor(rates, now, stalled=stalled)

    def note_costs(self) -> CostChange:
        """Compare the available layers, their sizes and their costs with those at the last call."""
        before, costs = self._costs, tuple([((s.number, s.lines), self.cost(s)) for s in self.available])
        if costs == before:
            return CostChange.NONE
        are_same = [layer for layer, _ in costs] == [layer for layer, _ in before]
        if are_same and all(_are_alike(one, other) for (_, one), (_, other) in zip(costs, before, strict=True)):
            return CostChange.NONE
        self._costs = costs
        if are_same:
            return CostChange.PRICES
        self.changes += 1
        return CostChange.LAYERS

    def _layer_rate(self, stream: IngressStream, now: int) -> LayerRate | None:
        """Return the rates of a stream that flows and was not just requested again."""
        number = stream.number
        if not stream.active(now) or number in self._stopped or number in self._returning:
            return None
        return LayerRate(stream.frame_rate, stream.bits_per_second, stream.progress.measured_at)

    def _sample(self, number: int, rate: float, share: float) -> None:
        """Take a measured rate. The rate of a part of the stream counts only until all of it has been measured."""
        if share < 1 and number in self._rates:
            return
        samples = self._samples.setdefault(number, deque(maxlen=_SCREEN_SECONDS if self._is_screen else _SECONDS))
        samples.append(rate / share)
        self._rates[number] = median_low(samples)

    def _sort(self, streams: Sequence[IngressStream]) -> None:
        """Keep the order, with new streams last, but swap neighbours if the first is clearly higher."""
        order = [stream for stream in self._order if stream in streams]
        order += [stream for stream in streams if stream not in order]
        for _ in order:
            for place in range(len(order) - 1):
                lower, upper = order[place : place + 2]
                rates = self._rates.get(lower.number, 0.0), self._rates.get(upper.number, _UNMEASURED)
                if is_higher(lower, upper, rates):
                    order[place], order[place + 1] = order[place + 1], order[place]
        self._order = order

    def _falls(self, stream: IngressStream, now: int) -> bool:
        """Return True if much less of a stream arrives than before, so its publisher may be about to drop it.

        This is no time to stop a layer that could replace it: Chromium would also make a keyframe of all others.
        """
        return not self._is_screen and stream.active(now) and self._has_fallen(stream)

    def _has_fallen(self, stream: IngressStream) -> bool:
        return 0 < stream.bits_per_second < _FALLS * self._rates.get(stream.number, 0.0)

    def knows(self, stream: IngressStream) -> bool:
        """Return True if the stream's cost has been measured."""
        return stream.number in self._rates

    @property
    def rests(self) -> bool:
        """True if no layer should be sent."""
        return bool(self._order) and len(self._stopped) == len(self._order)

    def awaits_layers(self, now: int) -> bool:
        """Return True if a layer has stalled, or was just requested again and does not flow yet."""
        return self._has_stalled or any(now - asked < _AWAITED_NS for asked in self._returning.values())

    def cost(self, stream: IngressStream) -> float:
        """Return a stream's cost in bits/s: the measured one, else one typical of cameras."""
        known = self._rates.get(stream.number)
        if known is not None:
            return known
        if len(self._order) < 2 or stream not in self._order:
            return UNKNOWN_RATE
        return _UNKNOWN_RATES[min(self._order.index(stream), len(_UNKNOWN_RATES) - 1)]

    def _can_return(self, stream: IngressStream, now: int) -> bool:
        """Return True if we asked the publisher to stop the stream, or have just requested it again."""
        asked = self._returning.get(stream.number)
        return stream.number in self._stopped or (asked is not None and now - asked < _AWAITED_NS)

    def demand(
        self, wanted: Iterable[IngressStream], now: int, agreed: Collection[str] = (), *, hasty: bool = False
    ) -> list[str] | None:
        """Take the streams that somebody wants; return the rids that the publisher should send.

        A single stream without a rid is named "". Returns None if there is nothing to send, or if rids do not
        distinguish the streams. A layer that was `agreed` on but has never arrived is wanted whenever the highest known
        one is, since it may be higher. With `hasty`, unwanted layers may stop at once.
        """
        if not self._order or len({stream.rid for stream in self._order}) < len(self._order):
            return None
        active = self.active(wanted, now, hasty=hasty)
        seen = {stream.rid for stream in self._order}
        unseen = [rid for rid in agreed if rid not in seen] if self._order[-1] in active else []
        return [*(stream.rid for stream in active), *unseen]

    def active(
        self, wanted: Iterable[IngressStream], now: int, *, idle: bool = False, hasty: bool = False
    ) -> list[IngressStream]:
        """Take the streams that somebody wants; return those that should be sent, lowest first. The others may rest.

        At first this is all of them, or none if they are `idle`.
        """
        if self._demand is None or self._demand.layers != len(self._order):
            self._demand = LayerDemand(len(self._order), now, idle=idle)
        places = {stream.number: place for place, stream in enumerate(self._order)}
        sent = [places[stream.number] for stream in wanted if stream.number in places]
        if not hasty and any(self._falls(self._order[place], now) for place in sent):
            sent += self._demand.active
        self._demand.update(sent, now, hasty=hasty)
        active = [stream for place, stream in enumerate(self._order) if place in self._demand.active]
        stopped = frozenset(stream.number for stream in self._order) - {stream.number for stream in active}
        self._returning.update(dict.fromkeys(self._stopped - stopped, now))
        for number in stopped & self._returning.keys():
            del self._returning[number]
        self._stopped = stopped
        return active


def _are_alike(one: float, other: float) -> bool:
    return max(one, other) <= _SAME_PRICE * min(one, other)
