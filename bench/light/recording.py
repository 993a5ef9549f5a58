"""Recorded sending of Chromium: a camera in three layers and a microphone, made by `bench.record_simulcast`."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

RECORDED_SIMULCAST = Path(__file__).parents[1] / "fixtures" / "recorded_simulcast.json"
RIDS = ("q", "h", "f")
"""Names of the layers, lowest first, as our page gives them."""
SIZES = {"q": (320, 180), "h": (640, 360), "f": (1280, 720)}
AUDIO_NS = 20_000_000


class _Document(msgspec.Struct, frozen=True):
    period_us: int
    audio: list[int]
    key: dict[str, list[list[int]]]
    layers: dict[str, list[list[int]]]


@dataclass(frozen=True, slots=True)
class Burst:
    """Packets that leave at once: when (ns from the beginning), of which layer (place in RIDS) and frame, and their
    sizes with protection in bytes. `ends` is set on the last of a frame, `begins` on its first."""

    at_ns: int
    layer: int
    begins: bool
    ends: bool
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """`bursts` repeat after `period_ns`; `key` are the bursts of a keyframe of all layers, from its beginning on."""

    period_ns: int
    bursts: tuple[Burst, ...]
    key: tuple[Burst, ...] = ()
    audio: tuple[int, ...] = ()

    def packets_per_second(self, layer: int) -> float:
        """Return how many packets of a layer are sent a second, keyframes apart."""
        return sum(len(burst.sizes) for burst in self.bursts if burst.layer == layer) * 1e9 / self.period_ns


def evenly(frames: Sequence[Sequence[int]], every_ns: int) -> Recording:
    """Return a recording of one layer: these frames in turn, each at once, one every `every_ns`."""
    return _evenly(tuple(map(tuple, frames)), every_ns)


@functools.cache
def _evenly(frames: tuple[tuple[int, ...], ...], every_ns: int) -> Recording:
    bursts = (Burst(k * every_ns, 0, True, True, sizes) for k, sizes in enumerate(frames))
    return Recording(len(frames) * every_ns, tuple(bursts))


@functools.cache
def recording() -> Recording:
    """Return what was recorded."""
    document = msgspec.json.decode(RECORDED_SIMULCAST.read_bytes(), type=_Document)
    return Recording(
        document.period_us * 1000,
        _merged(document.layers),
        _merged(document.key),
        tuple(document.audio),
    )


def _merged(layers: dict[str, list[list[int]]]) -> tuple[Burst, ...]:
    """Bring the layers' bursts in the order of their times."""
    bursts: list[Burst] = []
    for place, rid in enumerate(RIDS):
        lines = layers[rid]
        for number, (at_us, frame, *sizes) in enumerate(lines):
            begins = number == 0 or lines[number - 1][1] != frame
            ends = number + 1 == len(lines) or lines[number + 1][1] != frame
            bursts.append(Burst(at_us * 1000, place, begins, ends, tuple(sizes)))
    return tuple(sorted(bursts, key=lambda burst: burst.at_ns))
