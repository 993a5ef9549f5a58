"""Allocation of layers to subscribers within the estimate.

After LiveKit's stream allocator and Jitsi's bandwidth allocation: audio always goes; then screens, the speaker, and
tiles by displayed size. A screen and the speaker get the best that fits before others get anything; tiles first all get
a moving picture, as far as there is room, and then rise in turn. What does not fit is paused and reported as paused.

Hysteresis keeps pictures from flapping: a rise needs headroom and some time since the last fall, longer each time that
a rise did not last; with ample room the wait is shortest. A picture that is not shown needs little headroom to come
back in its lowest layer, none after a while, and never waits for long. Layers that are sent stay as long as they fit.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

_HEADROOM = 1.1
_AMPLE = 1.5  # a rise that leaves so much room will last: the link caused the fall, not the rise
_LEAST_HEADROOM = 1.05
_WAIT_NS = 1_000_000_000
_PAUSED_WAIT_NS = 4_000_000_000
_LONG_PAUSE_NS = 8_000_000_000  # an estimate that nothing uses rises by probes alone, and may stay just short
_MAX_WAIT_NS = 16_000_000_000
_SHORT_LIVED_NS = 10_000_000_000
_LINK_FELL = 0.6  # of the estimate when it rose, or less: a rise that was too bold loses less than that

PAUSED = -1


class Rank(IntEnum):
    """Order of importance; audio is not allocated but always sent."""

    SCREEN = 0
    SPEAKER = 1
    TILE = 2


@dataclass(frozen=True, slots=True)
class Demand(Generic[Key]):
    """A wanted video. `pixels` is the size shown.

    `layers` are measured bitrates (bits/s), ascending by quality, of those layers that are useful at that size; empty
    for a track of which nothing flows.
    """

    key: Key
    rank: Rank
    layers: tuple[float, ...]
    pixels: int = 0


class Grant(NamedTuple):
    """`layer` indexes the demand's layers, or is PAUSED; `bitrate` is what it costs."""

    layer: int
    bitrate: float


@dataclass(frozen=True, slots=True)
class Allocation(Generic[Key]):
    """`total` of the grants is at most the estimate less audio.

    `wanted` is what everything at its best would cost, and more where a rise needs proof that more fits.
    """

    grants: Mapping[Key, Grant]
    total: float
    wanted: float


@dataclass(slots=True)
class _Memory:
    layer: int = PAUSED
    raised_at: int | None = None
    raised_with: float = 0.0
    fell_at: int | None = None
    wait: int = _WAIT_NS
    known: bool = field(default=False)


class LayerAllocator(Generic[Key]):
    """One per subscriber; remembers what each demand was granted."""

    def __init__(self) -> None:
        self._memories: dict[Key, _Memory] = {}

    def allocate(self, estimate: float, audio: float, demands: Sequence[Demand[Key]], now: int) -> Allocation[Key]:
        """Return the grants within `estimate` (bits/s) of which `audio` is taken."""
        ordered = sorted(demands, key=lambda demand: (demand.rank, -demand.pixels))
        self._forget({demand.key for demand in demands})
        room = max(0.0, estimate - audio)
        layers: dict[Key, int] = dict.fromkeys((demand.key for demand in ordered), PAUSED)
        for demand in ordered:
            if demand.rank is not Rank.TILE:
                room = self._raise(demand, layers, room, now, len(demand.layers))
        tiles = [demand for demand in ordered if demand.rank is Rank.TILE]
        for top in range(1, max((len(tile.layers) for tile in tiles), default=0) + 1):
            for tile in tiles:
                room = self._raise(tile, layers, room, now, top)
        return self._conclude(ordered, layers, estimate, now)

    def _forget(self, present: set[Key]) -> None:
        for key in [key for key in self._memories if key not in present]:
            del self._memories[key]

    def _raise(self, demand: Demand[Key], layers: dict[Key, int], room: float, now: int, top: int) -> float:
        """Grant the best layer below `top` that fits in addition to what is granted already; return the room left."""
        given = layers[demand.key]
        held = demand.layers[given] if given != PAUSED else 0.0
        is_first = all(other == PAUSED for other in layers.values())
        for layer in range(min(top, len(demand.layers)) - 1, given, -1):
            cost = demand.layers[layer] - held
            if cost * self._margin(demand.key, layer, now, is_first=is_first) <= room:
                layers[demand.key] = layer
                return room - cost
        return room

    def _margin(self, key: Key, layer: int, now: int, *, is_first: bool) -> float:
        memory = self._memories.get(key)
        if memory is None or not memory.known or layer <= memory.layer:
            return 1.0
        waited = now - memory.fell_at if memory.fell_at is not None else _MAX_WAIT_NS
        if waited < _WAIT_NS:
            return float("inf")
        if is_first and memory.layer == PAUSED and layer == 0:
            if memory.fell_at is not None and waited >= max(memory.wait, _LONG_PAUSE_NS):
                return 1.0
            return _LEAST_HEADROOM if waited >= min(memory.wait, _PAUSED_WAIT_NS) else _AMPLE
        return _HEADROOM if waited >= memory.wait else _AMPLE

    def _reach(self, demand: Demand[Key], now: int) -> float:
        """Return how much more than usual must be known to fit for the demand to get its best now."""
        memory = self._memories[demand.key]
        waits = memory.fell_at is not None and now - memory.fell_at < memory.wait
        return _AMPLE / _HEADROOM if waits and memory.layer < len(demand.layers) - 1 else 1.0

    def _conclude(
        self, ordered: Sequence[Demand[Key]], layers: Mapping[Key, int], estimate: float, now: int
    ) -> Allocation[Key]:
        grants = {}
        for demand in ordered:
            layer = layers[demand.key]
            grants[demand.key] = Grant(layer, demand.layers[layer] if layer != PAUSED else 0.0)
            if demand.layers:
                self._remember(demand, layer, estimate, now)
        total = sum(grant.bitrate for grant in grants.values())
        wanted = sum(demand.layers[-1] * self._reach(demand, now) for demand in ordered if demand.layers)
        return Allocation(grants, total, wanted)

    def _remember(self, demand: Demand[Key], layer: int, estimate: float, now: int) -> None:
        """Note what was granted. Getting the best useful layer is no fall, even if it is lower than before."""
        memory = self._memories.setdefault(demand.key, _Memory())
        if layer > memory.layer:
            memory.raised_at, memory.raised_with = now, estimate
        elif layer < min(memory.layer, len(demand.layers) - 1):
            if memory.raised_at is not None:  # else it goes on falling, which does not count twice
                link_fell = estimate < memory.raised_with * _LINK_FELL
                short_lived = now - memory.raised_at < _SHORT_LIVED_NS and not link_fell
                memory.wait = min(memory.wait * 2, _MAX_WAIT_NS) if short_lived else _WAIT_NS
            memory.raised_at, memory.fell_at = None, now
        memory.layer = layer
        memory.known = True
