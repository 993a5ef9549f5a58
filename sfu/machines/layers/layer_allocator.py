"""Allocation of layers to subscribers within the estimate.

After LiveKit's stream allocator and Jitsi's bandwidth allocation: audio is always sent; then come screens, the speaker,
and tiles by displayed size. Screens and the speaker get the best layer that fits before others get anything. Tiles
first all get their lowest layer, as far as there is room, and then rise in turn. Tracks that do not fit are paused and
reported as paused.

Hysteresis keeps pictures from flapping: a rise needs headroom and some time since the last fall, more each time that a
rise did not last; with ample room the wait is short. A paused picture needs little headroom to return in its lowest
layer, none after a while, and never waits for long. Layers that are being sent stay as long as they fit.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

_HEADROOM = 1.1
_AMPLE = 1.5  # a rise that leaves this much room will last: the link caused the fall, not the rise
_LEAST_HEADROOM = 1.05
_WAIT_NS = 1_000_000_000
_PAUSED_WAIT_NS = 4_000_000_000
_LONG_PAUSE_NS = 8_000_000_000  # an unused estimate rises by probes alone, and may stay just too low
_MAX_WAIT_NS = 16_000_000_000
_SHORT_LIVED_NS = 10_000_000_000
_ROUNDING = 1e-9  # of the estimate: if it equals the sum of the costs, rounding may leave less than the last cost
_LINK_FELL = 0.6  # of the estimate at the rise, or less: a rise that was too large loses less than that

PAUSED = -1


class Rank(IntEnum):
    """The order of importance; audio is not allocated but always sent."""

    SCREEN = 0
    SPEAKER = 1
    TILE = 2


@dataclass(frozen=True, slots=True)
class Demand(Generic[Key]):
    """A wanted video. `pixels` is its displayed size.

    `layers` are the measured bitrates (bits/s), in ascending quality, of the layers that are useful at that size; empty
    if no layer flows.
    """

    key: Key
    rank: Rank
    layers: tuple[float, ...]
    pixels: int = 0


class Grant(NamedTuple):
    """A grant: `layer` is an index of the demand's layers or PAUSED, `bitrate` its cost (bits/s)."""

    layer: int
    bitrate: float


@dataclass(frozen=True, slots=True)
class Allocation(Generic[Key]):
    """An allocation. `total` is the sum of the grants, at most the estimate minus audio.

    `wanted` is the cost of everything at its best, and more if a rise needs proof that more fits.
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
    """The allocator of one subscriber; it remembers each demand's last grant."""

    def __init__(self) -> None:
        self._memories: dict[Key, _Memory] = {}

    def allocate(self, estimate: float, audio: float, demands: Sequence[Demand[Key]], now: int) -> Allocation[Key]:
        """Return the grants within `estimate`, of which `audio` is taken (both in bits/s)."""
        ordered = sorted(demands, key=lambda demand: (demand.rank, -demand.pixels))
        self._forget({demand.key for demand in demands})
        room = max(0.0, estimate * (1 + _ROUNDING) - audio)
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
        """Grant the best layer below `top` that fits in addition to earlier grants; return the room left."""
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
        """Return the extra rate that must be known to fit for the demand to get its best layer now."""
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
        """Note what was granted. Getting the best useful layer is not a fall, even if it is lower than before."""
        memory = self._memories.setdefault(demand.key, _Memory())
        if layer > memory.layer:
            memory.raised_at, memory.raised_with = now, estimate
        elif layer < min(memory.layer, len(demand.layers) - 1):
            if memory.raised_at is not None:  # else a fall continues, which does not count twice
                link_fell = estimate < memory.raised_with * _LINK_FELL
                short_lived = now - memory.raised_at < _SHORT_LIVED_NS and not link_fell
                memory.wait = min(memory.wait * 2, _MAX_WAIT_NS) if short_lived else _WAIT_NS
            memory.raised_at, memory.fell_at = None, now
        memory.layer = layer
        memory.known = True
