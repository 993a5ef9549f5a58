"""Series over time of each participant's link, from a dump: the curves of a replay's plot."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from sfu.flight import noted_estimator
from sfu.flight.noted_estimator import Observed
from sfu.flight.notes import Allocated
from sfu.flight.recorder import Entry, Kind
from sfu.flight.replay import replay
from sfu.machines.layers.layer_allocator import PAUSED

Point = tuple[float, float]
"""Seconds on the dump's clock (CLOCK_MONOTONIC), and a value."""


class LinkSeries(NamedTuple):
    """Rates in bits/s: estimates as recorded and as replayed, and the replayed grants including audio.

    `delay` is the extra delay (ms) of each feedback message's quickest packet over the quickest of all.
    """

    recorded: list[Point]
    replayed: list[Point]
    allocated: list[Point]
    delay: list[Point]


def series(entries: Sequence[Entry]) -> dict[str, LinkSeries]:
    """Return the curves by participant; raises ValueError for entries that cannot be read."""
    done = replay(entries)
    curves: dict[str, LinkSeries] = {}
    for estimate in done.estimates:
        curve = curves.setdefault(estimate.who, LinkSeries([], [], [], []))
        curve.recorded.append((estimate.at / 1e9, estimate.recorded))
        curve.replayed.append((estimate.at / 1e9, estimate.replayed))
    asked = [msgspec.json.decode(entry.data, type=Allocated) for entry in entries if entry.kind is Kind.ALLOCATION]
    for grant, question in zip(done.grants, asked, strict=True):
        if grant.who in curves:
            layers = {track: costs for track, _, costs, _ in question.demands}
            granted = sum(layers[track][layer] for track, layer in grant.replayed.items() if layer != PAUSED)
            curves[grant.who].allocated.append((grant.at / 1e9, question.audio + granted))
    for curve in curves.values():
        end = curve.replayed[-1][0]
        if curve.allocated and curve.allocated[-1][0] < end:  # nobody who has enough is allocated for again
            curve.allocated.append((end, curve.allocated[-1][1]))
    for who, points in _delays(entries).items():
        if who in curves:
            quickest = min(delay for _, delay in points)
            curves[who].delay.extend((at, (delay - quickest) / 1e6) for at, delay in points)
    return curves


def _delays(entries: Iterable[Entry]) -> dict[str, list[tuple[float, int]]]:
    """Return (seconds, ns including the clocks' difference) by participant."""
    delays: dict[str, list[tuple[float, int]]] = {}
    for entry in entries:
        if entry.kind is not Kind.ESTIMATOR:
            continue
        taken = noted_estimator.read(entry.data)
        if isinstance(taken, Observed) and taken.summary.smallest_delay is not None:
            delays.setdefault(entry.who, []).append((taken.at / 1e9, taken.summary.smallest_delay))
    return delays
