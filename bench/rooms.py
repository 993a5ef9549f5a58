"""Ordinary meetings: many rooms in which everybody publishes, at a real sfu process on a core of its own.

Each publishes what Chromium was recorded to send of 720p in three layers (150, 500, 1,700 kbit/s; bench/fixtures) and a
microphone in RED, with transport-wide feedback, reports and consent checks, and repairs no more than libwebrtc would.
Each watches all others, up to 25 tiles: the speaker at 720p, the others at 180p, and sizes follow as speakers change.
One in a hundred leaves and comes again each minute; a tenth of the links lose 1 % each way. All begin within a second.
Every packet that counts was authenticated; added latency is from the publisher's send to the kernel's receive time.

`--shape 16x4` (repeatable) says how many rooms of how many; `--rounds` how many sfus are started afresh, whose median
is told; `--overload 1.5` adds so much more of the load for a minute; `--pause 0.5` stops the sfu's process for so long,
ten times; `--rest` lets publishers stop layers that nobody watches, as the page does when the server tells it. Beside
other programs a run says little without priority: `chrt --rr 1 python -m bench rooms`.
"""

import argparse
import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench.cores import pinned
from bench.light.crowd import Crowd, Shape
from bench.light.library import BUCKET_MS, LightClient, Totals
from bench.report import Report, note, show_progress
from bench.sfu_process import running_sfu

SHAPES = (Shape(100, 4), Shape(25, 10), Shape(5, 50), Shape(1, 200))
QUICK = Shape(4, 4)
SETTLE_SECONDS = 8.0
SAMPLE_SECONDS = 0.25
HELD_LOSS, HELD_P99_MS = 0.1, 20.0
OVERLOAD_SECONDS, AFTER_SECONDS = 60.0, 20.0
PAUSES, BETWEEN_PAUSES = 10, 5.0
NORMAL = 0.95
"""Share of the packets of before from which things are normal again."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    shapes: Sequence[Shape]
    seconds: float
    rounds: int
    overload: float
    pause: float
    rests: bool

    @classmethod
    def of(cls, chosen: argparse.Namespace) -> "Options":
        """Take them from the command line; ValueError when a shape is none."""
        default_seconds, default_rounds = (5.0, 1) if chosen.quick else (20.0, 5)
        return cls(
            [Shape.parse(text) for text in chosen.shape],
            chosen.seconds or default_seconds,
            chosen.rounds or default_rounds,
            chosen.overload,
            chosen.pause,
            chosen.rest,
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in a stretch of time, of clients and sfu."""

    seconds: float
    user: float
    kernel: float
    engine: float
    client: float
    totals: Totals
    latencies: np.ndarray
    wanted_video: float
    resident: int

    @property
    def cpu(self) -> float:
        """Share of a core, in percent."""
        return 100 * (self.user + self.kernel) / self.seconds

    @property
    def loss(self) -> float:
        """Share that is missing between what came, in percent."""
        return 100 * self.totals.lost / max(self.totals.expected, 1)

    @property
    def sound_loss(self) -> float:
        """The same of sound alone."""
        return 100 * self.totals.lost_audio / max(self.totals.expected_audio, 1)

    @property
    def delivered(self) -> float:
        """Packets of pictures that came, in percent of those that the tiles ask for."""
        return 100 * self.totals.video / max(self.wanted_video * self.seconds, 1)

    def latency(self, share: float) -> float:
        """Return the added latency in ms that `share` of all packets stay within, repaired ones apart."""
        cumulated = np.cumsum(self.latencies[:2].sum(axis=0))
        return float(np.searchsorted(cumulated, cumulated[-1] * share)) * BUCKET_MS if cumulated[-1] else 0.0


class Meter:
    """Reads all counters, and tells what was added since the last reading."""

    def __init__(self, crowds: Sequence[Crowd]) -> None:
        self._crowds = crowds
        self._client, self._sfu = crowds[0].client, crowds[0].sfu
        self._before = self._read()

    def _read(self) -> tuple[float, tuple[float, float], float, float, Totals, np.ndarray]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return (
            time.monotonic(),
            self._sfu.cpu_times(),
            self._sfu.metrics().get("parley_sfu_engine_seconds_total", 0.0),
            usage.ru_utime + usage.ru_stime,
            self._client.totals(),
            self._client.latencies(),
        )

    def read(self) -> Stretch:
        """Return the stretch since the last reading."""
        before, now = self._before, self._read()
        self._before = now
        return Stretch(
            now[0] - before[0],
            now[1][0] - before[1][0],
            now[1][1] - before[1][1],
            now[2] - before[2],
            now[3] - before[3],
            now[4].since(before[4]),
            now[5] - before[5],
            sum(crowd.wanted_per_second()[0] for crowd in self._crowds),
            self._sfu.resident_bytes(),
        )


def run(*, quick: bool, options: Options) -> Report:
    """Measure every shape."""
    report = Report()
    for shape in options.shapes or ((QUICK,) if quick else SHAPES):
        asyncio.run(_measure(report, shape, options))
    return report


async def _measure(report: Report, shape: Shape, options: Options) -> None:
    stretches: list[Stretch] = []
    joins: list[float] = []
    memory: list[float] = []
    for number in range(options.rounds):
        note(f"{shape}, round {number + 1}")
        async with _stage(shape, options) as (crowd, join_seconds, empty):
            await _pass("settling", SETTLE_SECONDS)
            meter = Meter([crowd])
            await _pass("measuring", options.seconds)
            stretch = meter.read()
            note(_told(stretch))
            stretches.append(stretch)
            joins.append(1000 * join_seconds / shape.participants)
            memory.append((stretch.resident - empty) / shape.participants / 1024)
            if options.overload > 1:
                await _overload(report, crowd, options)
            if options.pause:
                await _pause(report, crowd, options)
    _describe(report, shape, stretches)
    report.add(str(shape), "CPU of a join", median(joins), "ms")
    report.add(str(shape), "memory per participant", median(memory), "KiB")


def _told(stretch: Stretch) -> str:
    return (
        f"{stretch.cpu:.0f} % of a core, {stretch.totals.media / stretch.seconds:.0f} packets out/s,"
        f" p50 {stretch.latency(0.5):.2f}, p99 {stretch.latency(0.99):.1f} ms, loss {stretch.loss:.3f} %,"
        f" delivered {stretch.delivered:.0f} %"
    )


def _describe(report: Report, shape: Shape, rounds: Sequence[Stretch]) -> None:
    case = str(shape)

    def add(metric: str, unit: str, values: Sequence[float]) -> None:
        report.add(case, metric, median(values), unit)

    add("CPU", "% of a core", [one.cpu for one in rounds])
    add("CPU per participant", "% of a core", [one.cpu / shape.participants for one in rounds])
    add("… in the kernel", "% of a core", [100 * one.kernel / one.seconds for one in rounds])
    add("… in user space", "% of a core", [100 * one.user / one.seconds for one in rounds])
    add("… while forwarding (kernel included)", "% of a core", [100 * one.engine / one.seconds for one in rounds])
    add("packets out", "1/s", [one.totals.media / one.seconds for one in rounds])
    add("CPU per packet out", "µs", [1e6 * (one.user + one.kernel) / max(one.totals.media, 1) for one in rounds])
    add("added latency, p50", "ms", [one.latency(0.5) for one in rounds])
    add("added latency, p99", "ms", [one.latency(0.99) for one in rounds])
    add("missing", "%", [one.loss for one in rounds])
    add("missing of sound", "%", [one.sound_loss for one in rounds])
    add("pictures delivered, of what tiles ask for", "%", [one.delivered for one in rounds])
    add("asked again by receivers", "1/s", [one.totals.nacks / one.seconds for one in rounds])
    add("repaired by publishers", "1/s", [one.totals.repairs_sent / one.seconds for one in rounds])
    add("CPU of the clients", "% of a core", [100 * one.client / one.seconds for one in rounds])
    held = sum(one.loss < HELD_LOSS and one.latency(0.99) <= HELD_P99_MS for one in rounds)
    report.add(case, f"rounds that held, of {len(rounds)}", held, "")


@asynccontextmanager
async def _stage(shape: Shape, options: Options) -> AsyncIterator[tuple[Crowd, float, int]]:
    """A fresh sfu with a crowd that has begun; its CPU seconds while all joined, and its memory before."""
    cores = sorted(os.sched_getaffinity(0))
    its_own, others = (cores[-1:], cores[:-1]) if len(cores) > 1 else (cores, cores)
    with pinned(its_own), running_sfu() as sfu, pinned(others):
        client = LightClient()
        crowd = Crowd(client, sfu, shape, rests=options.rests)
        empty, cpu = sfu.resident_bytes(), sfu.cpu_seconds()
        try:
            await crowd.enter()
            spent = sfu.cpu_seconds() - cpu
            crowd.begin()
            async with crowd.living():
                yield crowd, spent, empty
        finally:
            await crowd.leave()
            client.close()


async def _overload(report: Report, crowd: Crowd, options: Options) -> None:
    """More rooms begin to send, all at once, and end after a minute."""
    shape = Shape(max(1, round(crowd.shape.rooms * (options.overload - 1))), crowd.shape.people)
    case = f"{crowd.shape}, {options.overload:g} × the load"
    more = Crowd(crowd.client, crowd.sfu, shape, first_room=crowd.shape.rooms, rests=options.rests)
    try:
        await more.enter()
        healthy = await _rate(crowd.client, 4.0)
        meter = Meter([crowd, more])
        more.begin()
        async with more.living():
            await _pass(f"{options.overload:g} × the load", OVERLOAD_SECONDS)
            stretch = meter.read()
            note(_told(stretch))
        more.end()
        back = await _normal_again(crowd.client, healthy)
    finally:
        await more.leave()
    report.add(
        case, "packets out, of those at the load before", 100 * stretch.totals.media / stretch.seconds / healthy, "%"
    )
    report.add(case, "pictures delivered, of what tiles ask for", stretch.delivered, "%")
    report.add(case, "missing of sound", stretch.sound_loss, "%")
    report.add(case, "CPU", stretch.cpu, "% of a core")
    report.add(case, "added latency, p99", stretch.latency(0.99), "ms")
    report.add(case, f"normal again (at most {AFTER_SECONDS:g} are waited)", back, "s")


async def _pause(report: Report, crowd: Crowd, options: Options) -> None:
    """The sfu's process stands still, again and again."""
    healthy = await _rate(crowd.client, 4.0)
    times: list[float] = []
    for _ in range(PAUSES):
        os.kill(crowd.sfu.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(options.pause)
        finally:
            os.kill(crowd.sfu.pid, signal.SIGCONT)
        times.append(await _normal_again(crowd.client, healthy))
        note(f"normal {times[-1]:.2f} s after a pause")
        await _pass("between pauses", BETWEEN_PAUSES)
    case = f"{crowd.shape}, stopped for {options.pause:g} s {PAUSES} times"
    report.add(case, "normal again, median", median(times), "s")
    report.add(case, f"normal again, longest (at most {AFTER_SECONDS:g} are waited)", max(times), "s")


async def _rate(client: LightClient, seconds: float) -> float:
    before, began = client.totals().media, time.monotonic()
    await asyncio.sleep(seconds)
    return float((client.totals().media - before) / (time.monotonic() - began))


async def _normal_again(client: LightClient, healthy: float) -> float:
    """Return after how many seconds as many packets come as before, for four looks."""
    began = time.monotonic()
    since = began
    while time.monotonic() - began < AFTER_SECONDS:
        looked_at = time.monotonic()
        if await _rate(client, SAMPLE_SECONDS) < NORMAL * healthy:
            since = time.monotonic()
        elif looked_at - since >= 3 * SAMPLE_SECONDS:
            return since - began
    return AFTER_SECONDS


async def _pass(what: str, seconds: float) -> None:
    """Let time pass behind a progress bar."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        show_progress(what, passed / seconds)
        await asyncio.sleep(min(0.5, seconds - passed))
    show_progress(what, 1.0)
