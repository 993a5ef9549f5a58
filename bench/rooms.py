"""Ordinary meetings: many rooms in which everybody publishes, with a real sfu process on a separate core.

Each participant publishes a recording of Chromium, 720p in three layers (150, 500, 1,700 kbit/s; bench/fixtures), each
of three temporal layers as Chromium makes them in VP8, and a microphone in RED, with transport-wide feedback, reports
and consent checks, and retransmits no more than libwebrtc would. Each watches all others, up to 25 tiles: the speaker
at 720p, the others at 180p; sizes change with the speaker.
One in a hundred leaves and rejoins each minute; a tenth of the links lose 1 % each way. All begin within a second.
Every counted packet was authenticated. Added latency is the time from the publisher's send to the kernel's receive
time, without retransmitted packets and the first half second of each video, which may begin with an old keyframe from
a cache.

`--shape 16x4` (repeatable) sets the number of rooms and of people in each; `--rounds` the number of sfus that are
started, whose median is reported; `--overload 1.5` multiplies the load for a minute; `--pause 0.5` stops the sfu's
process for that many seconds, ten times; `--rest` lets publishers pause layers that nobody watches, as the page does;
`--publishers 1` lets one participant in each room publish, and the others watch; `--workers 2` gives the server two
cores, with one UDP port for both workers, or with `--own-ports` one each; `--taken 0.4` lets another program use that
share of the server's core, so that a client with one core can overload it; `--beside livekit` also measures LiveKit's
server with the same client, in alternating rounds. With `--quick`, the overload lasts 15 s. If other programs run, give
the benchmark priority, or its results mean little: `chrt --rr 1 python -m bench rooms`.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.cpu_sources import cpu_sources
from bench.light.crowd import Crowd, Shape
from bench.light.library import LightClient
from bench.meeting_stage import MeetingStage, meeting_stage
from bench.meter import Meter, Stretch, latency
from bench.report import Report, note, show_progress
from bench.sfu_process import Missing

SHAPES = (Shape(100, 4), Shape(25, 10), Shape(5, 50), Shape(1, 200))
QUICK = Shape(4, 4)
SETTLE_SECONDS, QUICK_SETTLE_SECONDS = 8.0, 4.0
SAMPLE_SECONDS, HEALTHY_SECONDS = 0.25, 4.0
SOURCES_SECONDS = 5.0
HELD_LOSS, HELD_P99_MS = 0.1, 20.0
OVERLOAD_SECONDS, QUICK_OVERLOAD_SECONDS, AFTER_SECONDS = 60.0, 15.0, 20.0
NOTABLE_SECONDS = 1.0
PAUSES, BETWEEN_PAUSES, QUICK_BETWEEN_PAUSES = 10, 5.0, 1.0
NORMAL = 0.95
"""The share of the video packets in the emptiest healthy quarter second that counts as normal. Sound does not count:
silent microphones rest for a while after an overload, and missing sound is reported by itself."""


_BESIDE = {"livekit": "LiveKit"}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    shapes: Sequence[Shape]
    seconds: float
    rounds: int
    overload: float
    pause: float
    rests: bool
    servers: Sequence[str]
    publishers: int
    workers: int
    own_ports: bool
    taken: float
    quick: bool

    @classmethod
    def of(cls, chosen: argparse.Namespace) -> "Options":
        """Parse the options of the command line; raises ValueError for an invalid shape."""
        default_seconds, default_rounds = (5.0, 1) if chosen.quick else (20.0, 5)
        return cls(
            [Shape.parse(text) for text in chosen.shape],
            chosen.seconds or default_seconds,
            chosen.rounds or default_rounds,
            chosen.overload,
            chosen.pause,
            chosen.rest,
            ("Parley", *(_BESIDE[name] for name in chosen.beside)),
            chosen.publishers,
            chosen.workers,
            chosen.own_ports,
            chosen.taken,
            chosen.quick,
        )


def run(*, quick: bool, options: Options) -> Report:
    """Measure every shape."""
    report = Report()
    try:
        for shape in options.shapes or ((QUICK,) if quick else SHAPES):
            asyncio.run(_measure(report, shape, options))
    except Missing as missing:
        print(f"rooms: not measured: it needs {missing}", file=sys.stderr)
    return report


async def _measure(report: Report, shape: Shape, options: Options) -> None:
    """Measure the servers in alternating rounds, so that other load on the machine affects all equally."""
    rounds: dict[str, list[Round]] = {name: [] for name in options.servers}
    for number in range(options.rounds):
        for name in options.servers:
            note(f"{name}, {shape}, round {number + 1} of {options.rounds}")
            rounds[name].append(await _round(report, name, shape, options, last=number + 1 == options.rounds))
    for name, several in rounds.items():
        _describe(report, _case(name, shape, options.workers), several, shape.participants)


async def _round(report: Report, name: str, shape: Shape, options: Options, *, last: bool) -> "Round":
    async with meeting_stage(
        name,
        shape,
        publishers=options.publishers,
        rests=options.rests,
        workers=options.workers,
        own_ports=options.own_ports,
        taken=options.taken,
    ) as here:
        await _pass("settling", QUICK_SETTLE_SECONDS if options.quick else SETTLE_SECONDS)
        meter = Meter(here.client, here.process, here.crowd)
        await _pass("measuring", options.seconds)
        stretch = meter.read()
        note(_told(stretch))
        sources = await _sources(here.process.pid) if last and not options.quick else {}
        if options.overload > 1:
            await _overload(report, name, here, options)
        if options.pause:
            await _pause(report, name, here, options)
    grown = (stretch.resident - here.empty_bytes) / shape.participants / 1024
    return Round(stretch, 1000 * here.join_seconds / shape.participants, grown, sources)


@dataclass(frozen=True, slots=True)
class Round:
    """A round of one server: CPU of a join in ms, memory of a participant in KiB, shares of its CPU time."""

    stretch: Stretch
    join_ms: float
    memory_kib: float
    sources: dict[str, float]


def _case(name: str, shape: Shape, workers: int = 1) -> str:
    return f"{name}, {shape}" + (f", {workers} cores" if workers > 1 else "")


def _told(stretch: Stretch) -> str:
    return (
        f"{stretch.cpu:.0f} % of a core, {stretch.totals.media / stretch.seconds:.0f} packets out/s,"
        f" p50 {stretch.latency(0.5):.2f}, p99 {stretch.latency(0.99):.1f} ms, loss {stretch.loss:.3f} %,"
        f" delivered {stretch.delivered:.0f} %, tiles moving {stretch.moving:.0f} %"
    )


_FIGURES: tuple[tuple[str, str, Callable[[Stretch], float]], ...] = (
    ("CPU", "% of a core", lambda one: one.cpu),
    ("… in the kernel", "% of a core", lambda one: 100 * one.kernel / one.seconds),
    ("… in user space", "% of a core", lambda one: 100 * one.user / one.seconds),
    ("… while forwarding (kernel included)", "% of a core", lambda one: 100 * one.engine / one.seconds),
    ("packets out", "1/s", lambda one: one.totals.media / one.seconds),
    ("CPU per packet out", "µs", lambda one: 1e6 * (one.user + one.kernel) / max(one.totals.media, 1)),
    ("added latency, p50", "ms", lambda one: one.latency(0.5)),
    ("added latency, p99", "ms", lambda one: one.latency(0.99)),
    ("missing", "%", lambda one: one.loss),
    ("missing sound", "%", lambda one: one.sound_loss),
    ("video delivered, of what tiles request", "%", lambda one: one.delivered),
    ("tiles that move", "%", lambda one: one.moving),
    ("requested again by receivers", "1/s", lambda one: one.totals.nacks / one.seconds),
    ("retransmitted by publishers", "1/s", lambda one: one.totals.repairs_sent / one.seconds),
    ("CPU of the clients", "% of a core", lambda one: 100 * one.client / one.seconds),
    ("sent over 5 ms late by the clients", "%", lambda one: one.late),
)


def _describe(report: Report, case: str, rounds: Sequence[Round], participants: int) -> None:
    stretches = [one.stretch for one in rounds]
    report.add(case, "CPU per participant", median(one.cpu for one in stretches) / participants, "% of a core")
    for metric, unit, figure in _FIGURES:
        report.add(case, metric, median(map(figure, stretches)), unit)
    report.add(case, "CPU of a join", median(one.join_ms for one in rounds), "ms")
    report.add(case, "memory per participant", median(one.memory_kib for one in rounds), "KiB")
    for source, share in sorted(rounds[-1].sources.items(), key=lambda item: -item[1]):
        report.add(case, f"… of it {source}", share * stretches[-1].cpu / participants, "% of a core, each")
    held = sum(one.loss < HELD_LOSS and one.latency(0.99) <= HELD_P99_MS for one in stretches)
    report.add(case, f"rounds that held, of {len(rounds)}", held, "")


async def _sources(pid: int) -> dict[str, float]:
    note("sources of CPU time")
    return await asyncio.to_thread(cpu_sources, pid, SOURCES_SECONDS)


async def _overload(report: Report, name: str, here: MeetingStage, options: Options) -> None:
    """Let further rooms begin to send at once, and end them after a minute."""
    shape = here.crowd.shape
    case = f"{_case(name, shape)}, {options.overload:g} × the load"
    further = Shape(max(1, round(shape.rooms * (options.overload - 1))), shape.people)
    more = Crowd(here.make, further, first_room=shape.rooms, publishers=options.publishers)
    try:
        await more.enter()
        healthy = await _healthy(here.client)
        meter = Meter(here.client, here.process, here.crowd, more)
        told = here.process.metrics()
        more.begin()
        async with more.living():
            seconds = QUICK_OVERLOAD_SECONDS if options.quick else OVERLOAD_SECONDS
            watching = asyncio.create_task(_watch(here, Meter(here.client, here.process, here.crowd, more)))
            await _pass(f"{options.overload:g} × the load", seconds)
            watching.cancel()
            stretch = meter.read()
            note(_told(stretch))
            note(_dropped(told, here.process.metrics()))
        more.end()
        back = await _normal_again(here.client, healthy)
    finally:
        await more.leave()
    report.add(
        case,
        "packets out, of those at the load before",
        100 * stretch.totals.media / stretch.seconds / healthy.packets,
        "%",
    )
    report.add(case, "video delivered, of what tiles request", stretch.delivered, "%")
    report.add(case, "tiles that move", stretch.moving, "%")
    report.add(case, "missing sound", stretch.sound_loss, "%")
    report.add(case, "CPU", stretch.cpu, "% of a core")
    report.add(case, "CPU of the clients", 100 * stretch.client / stretch.seconds, "% of a core")
    report.add(case, "sent over 5 ms late by the clients", stretch.late, "%")
    report.add(case, "added latency, p99", stretch.latency(0.99), "ms")
    report.add(case, f"normal again (waits at most {AFTER_SECONDS:g})", back, "s")


async def _watch(here: MeetingStage, meter: Meter) -> None:
    """Note every second what is delivered, what the sfu leaves out and what it has lost."""
    while True:
        await asyncio.sleep(1)
        stretch, told = meter.read(), here.process.metrics()
        step = told.get("parley_sfu_shedding", 0)
        lost = told.get("parley_sfu_receive_buffer_drops_total", 0)
        note(
            f"{stretch.delivered:.0f} % of the video, {stretch.moving:.0f} % of the tiles move,"
            f" {stretch.sound_loss:.2f} % of the sound missing,"
            f" {stretch.cpu:.0f} % of a core, p99 {stretch.latency(0.99):.0f} ms, shedding {step:.0f},"
            f" lost at the socket {lost:.0f}, clients {100 * stretch.client / stretch.seconds:.0f} % of a core,"
            f" {stretch.late:.0f} % late"
        )


def _dropped(before: dict[str, float], after: dict[str, float]) -> str:
    """Return what the sfu has dropped in between, by reason."""
    dropped = {
        name.removeprefix("parley_sfu_"): round(value - before.get(name, 0.0))
        for name, value in after.items()
        if name.startswith(("parley_sfu_drops_total", "parley_sfu_receive_buffer_drops_total"))
    }
    return "dropped: " + ", ".join(f"{name} {value}" for name, value in dropped.items() if value)


async def _pause(report: Report, name: str, here: MeetingStage, options: Options) -> None:
    """Stop the sfu's process repeatedly."""
    healthy = await _healthy(here.client)
    times: list[float] = []
    for _ in range(PAUSES):
        os.kill(here.process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(options.pause)
        finally:
            os.kill(here.process.pid, signal.SIGCONT)
        looks: list[str] = []
        times.append(await _normal_again(here.client, healthy, partial(_note_look, looks, healthy, here)))
        note(f"normal {times[-1]:.2f} s after a pause")
        if times[-1] > NOTABLE_SECONDS:
            note("   " + "; ".join(looks))
        await _pass("between pauses", QUICK_BETWEEN_PAUSES if options.quick else BETWEEN_PAUSES)
    case = f"{_case(name, here.crowd.shape)}, stopped for {options.pause:g} s {PAUSES} times"
    report.add(case, "normal again, median", median(times), "s")
    report.add(case, f"normal again, longest (waits at most {AFTER_SECONDS:g})", max(times), "s")


@dataclass(frozen=True, slots=True)
class Look:
    """Video packets per second, and the p99 latency of all packets in ms."""

    rate: float
    p99: float
    packets: float
    """All packets per second."""

    def is_like(self, healthy: "Healthy") -> bool:
        """Return True if about as much video arrives as in a healthy period, and everything with similar latency."""
        return self.rate >= NORMAL * healthy.lowest and self.p99 <= max(HELD_P99_MS, 2 * healthy.p99)


@dataclass(frozen=True, slots=True)
class Healthy(Look):
    """A healthy period; `lowest` is the lowest rate of a sample.

    Frames differ in size: within a quarter second, up to a tenth fewer packets arrive than on average.
    """

    lowest: float


async def _look(client: LightClient, seconds: float) -> Look:
    before, latencies, began = client.totals(), client.latencies(), time.monotonic()
    await asyncio.sleep(seconds)
    seen, passed = client.totals().since(before), time.monotonic() - began
    return Look(seen.video / passed, latency(client.latencies() - latencies, 0.99), seen.media / passed)


async def _healthy(client: LightClient) -> Healthy:
    looks = [await _look(client, SAMPLE_SECONDS) for _ in range(round(HEALTHY_SECONDS / SAMPLE_SECONDS))]
    rates = [look.rate for look in looks]
    packets = sum(look.packets for look in looks) / len(looks)
    return Healthy(sum(rates) / len(rates), median(look.p99 for look in looks), packets, min(rates))


def _note_look(looks: list[str], healthy: Healthy, here: MeetingStage, look: Look) -> None:
    told = here.process.metrics()
    step, lost = told.get("parley_sfu_shedding", 0), told.get("parley_sfu_receive_buffer_drops_total", 0)
    looks.append(f"{100 * look.rate / healthy.rate:.0f} %, p99 {look.p99:.0f} ms, shedding {step:.0f}, lost {lost:.0f}")


async def _normal_again(
    client: LightClient, healthy: Healthy, seen: Callable[[Look], object] = lambda _: None
) -> float:
    """Return the seconds until four samples in a row are as in a healthy period."""
    began = time.monotonic()
    since = began
    while time.monotonic() - began < AFTER_SECONDS:
        looked_at = time.monotonic()
        look = await _look(client, SAMPLE_SECONDS)
        seen(look)
        if not look.is_like(healthy):
            since = time.monotonic()
        elif looked_at - since >= 3 * SAMPLE_SECONDS:
            return since - began
    return AFTER_SECONDS


async def _pass(what: str, seconds: float) -> None:
    """Wait with a progress bar."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        show_progress(what, passed / seconds)
        await asyncio.sleep(min(0.5, seconds - passed))
    show_progress(what, 1.0)
