"""Recordings of Chromium's sending: a camera in three layers and a microphone, made by `bench.record_simulcast`."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

RECORDED_SIMULCAST = Path(__file__).parents[1] / "fixtures" / "recorded_simulcast.json"
RIDS = ("q", "h", "f")
"""The rids of the layers, lowest first, as Parley's page names them."""
SIZES = {"q": (320, 180), "h": (640, 360), "f": (1280, 720)}
AUDIO_NS = 20_000_000


class _Document(msgspec.Struct, frozen=True):
    period_us: int
    audio: list[int]
    key: dict[str, list[list[int]]]
    layers: dict[str, list[list[int]]]
    temporal: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Burst:
    """Packets that leave together: their time (ns from the beginning), layer (index in RIDS), frame, and their sizes
    in bytes with protection. `begins` is set on the first burst of a frame, `ends` on its last. `temporal` is the
    frame's temporal layer."""

    at_ns: int
    layer: int
    begins: bool
    ends: bool
    sizes: tuple[int, ...]
    temporal: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """`bursts` repeat after `period_ns`; `key` has the bursts of a keyframe of all layers, timed from its start."""

    period_ns: int
    bursts: tuple[Burst, ...]
    key: tuple[Burst, ...] = ()
    audio: tuple[int, ...] = ()

    def packets_per_second(self, layer: int) -> float:
        """Return a layer's packets per second, without keyframes."""
        return sum(len(burst.sizes) for burst in self.bursts if burst.layer == layer) * 1e9 / self.period_ns


def evenly(frames: Sequence[Sequence[int]], every_ns: int) -> Recording:
    """Return a recording of one layer: the given frames in turn, each in one burst, one every `every_ns`."""
    return _evenly(tuple(map(tuple, frames)), every_ns)


@functools.cache
def _evenly(frames: tuple[tuple[int, ...], ...], every_ns: int) -> Recording:
    bursts = (Burst(k * every_ns, 0, True, True, sizes) for k, sizes in enumerate(frames))
    return Recording(len(frames) * every_ns, tuple(bursts))


@functools.cache
def recording() -> Recording:
    """Return the recording of a microphone and a camera."""
    document = msgspec.json.decode(RECORDED_SIMULCAST.read_bytes(), type=_Document)
    return Recording(
        document.period_us * 1000,
        _merged(document.layers, document.temporal),
        _merged(document.key, {}),
        tuple(document.audio),
    )


def _merged(layers: dict[str, list[list[int]]], temporal: dict[str, list[int]]) -> tuple[Burst, ...]:
    """Return the bursts of all layers in the order of their times, with the temporal layers of their frames."""
    bursts: list[Burst] = []
    for place, rid in enumerate(RIDS):
        lines = layers[rid]
        for number, (at_us, frame, *sizes) in enumerate(lines):
            begins = number == 0 or lines[number - 1][1] != frame
            ends = number + 1 == len(lines) or lines[number + 1][1] != frame
            layer = temporal[rid][frame] if temporal else 0
            bursts.append(Burst(at_us * 1000, place, begins, ends, tuple(sizes), layer))
    return tuple(sorted(bursts, key=lambda burst: burst.at_ns))
