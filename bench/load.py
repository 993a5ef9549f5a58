"""Real peers (ICE, DTLS, SRTP, TWCC, NACK, reports) and a real sfu process: its cost, latency and capacity.

The rows with bars are fixed cases, with the sfu on a separate core:

- Live 720p to 100 and 500: frames recorded from Chromium at 1.2 Mbps, 28.6 per second, with sound 187 packets/s;
  medians of five windows, from when everybody gets everything. To 500, also frames of 2.2 Mbps with five of 27 to 42
  packets every two seconds, like a keyframe and its successors, without a bar.
- Memory and idle CPU of 500 peers, from 15 s after the last join.
- Saturation: one stream to plain receivers at any rate; to real peers, whose links must be estimated, a growing number
  of cameras at their ordinary rate until the sfu's core or the receivers reach a limit. The best rate per CPU second
  without loss counts.

The other rows are LiveKit's three published shapes (audio 10 → N, meeting n ↔ n, live 1 → N): the largest N with loss
below 0.1 % and p99 of the added latency below 20 ms. Added latency is the time from the publisher's send to the
kernel's receive time at a subscriber. Only the sfu's process time counts, including the kernel. Pacing and estimation
are on; every counted packet was authenticated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from statistics import median

from bench.light.plain import receive_plainly
from bench.light.stage import LIVE, Stage, Window, stage
from bench.report import Report, note, progress
from sfu.api.plain_transport import Suite
from sfu.formats.codecs import Codec

MAX_LOSS = 0.1
MAX_P99_MS = 20.0
SPEAKERS = 10
IN_FLIGHT = 96
"""Packets in flight to each receiver at saturation: enough to keep the sfu busy."""
BARS: dict[Suite, float] = {"AEAD_AES_128_GCM": 700_000, "AES_CM_128_HMAC_SHA1_80": 500_000}
REAL_BAR = 400_000
_GROWTH = 1.5

BURSTS = "Chromium"
SETTLE_SECONDS = 15.0
ROUNDS = 5
CAMERAS = 8
"""The maximum number of cameras that real peers watch at saturation: an estimate cannot grow beyond them."""
FULL_CPU = 85.0

AUDIO_SLOTS = 6
"""The number of loudest voices that a subscriber gets."""

Grow = Callable[[Stage, int], Awaitable[float]]
"""A function that grows a room to its next size, and returns the average number of receivers per track."""

Case = Callable[[], Awaitable[None]]


def run(*, quick: bool) -> Report:
    """Measure; if `quick`, small rooms for a short time."""
    return asyncio.run(_measure_all(quick))


async def _measure_all(quick: bool) -> Report:
    report = Report()
    for measure in progress(_quick_cases(report) if quick else _cases(report), "load"):
        await measure()
    return report


def _quick_cases(report: Report) -> list[Case]:
    return [
        lambda: _live(report, 100, 2.0),
        lambda: _saturated_plainly(report, 100, "AEAD_AES_128_GCM", rounds=1, seconds=2.0),
    ]


def _cases(report: Report) -> list[Case]:
    suites = [partial(_saturated_plainly, report, 500, suite, rounds=5, seconds=6.0) for suite in BARS]
    return [
        lambda: _live(report, 100, 15.0),
        lambda: _live(report, 500, 20.0),
        lambda: _live_in_bursts(report, 500, 10.0),
        *suites,
        lambda: _saturated(report, 300),
        lambda: _largest(report, "audio 10 → N", _sizes(50, 3000), _grow_audience),
        lambda: _largest(report, "live 1 → N", _sizes(50, 2500), _grow_live),
        lambda: _largest(report, "meeting n ↔ n", _sizes(3, 48), _grow_meeting),
    ]


async def _live(report: Report, count: int, seconds: float) -> None:
    """Measure for `seconds` in total; figures are medians of five windows, except the loss, which is the total."""
    case = f"live 1 → {count}"
    note(case)
    async with stage(apart=True) as here:
        before = here.sfu.resident_bytes()
        await here.fill(count)
        await asyncio.sleep(min(seconds, SETTLE_SECONDS))
        idle = median([await here.idle(min(seconds, 15.0) / ROUNDS) for _ in range(ROUNDS)])
        grown = (here.sfu.resident_bytes() - before) / count / 1024
        await here.publisher(Codec.OPUS, Codec.VP8, recorded=LIVE)
        if not await here.steady(count, patience=2 * seconds):
            note(f"{case}: not everybody got everything before the measurement began")
        windows = [await here.measure(seconds / ROUNDS, count) for _ in range(ROUNDS)]
        after = (here.sfu.resident_bytes() - before) / count / 1024
    _describe(report, case, sorted(windows, key=lambda window: window.cpu)[ROUNDS // 2])
    report.at_most(case, "loss", round(_loss(windows), 4), "%", 0.0)
    half, most = (_latency(windows, share) for share in (0.5, 0.99))
    cpu = median([window.cpu for window in windows])
    report.at_most(case, "added latency, p99", most, "ms", 5.0 if count == 100 else 12.0)
    report.add(case, "memory per participant, idle", grown, "KiB")
    report.add(case, "idle CPU", idle, "% of a core")
    if count == 500:
        report.at_most(case, "CPU", cpu, "% of a core", 30.0)
        report.at_most(case, "added latency, p50", half, "ms", 5.0)
        report.at_most(case, "memory per participant", after, "KiB", 250.0)
        report.at_most("500 idle peers", "CPU", idle, "% of a core", 8.0)
    else:
        report.add(case, "CPU", cpu, "% of a core")
        report.add(case, "added latency, p50", half, "ms")
        report.add(case, "memory per participant", after, "KiB")


def _loss(windows: Sequence[Window]) -> float:
    """Return the share of published packets that did not arrive, in percent."""
    came, expected = sum(window.totals.media for window in windows), sum(window.expected for window in windows)
    return max(0.0, 100 * (1 - came / max(expected, 1)))


def _latency(windows: Sequence[Window], share: float) -> float:
    return median([window.latency(share) for window in windows])


async def _live_in_bursts(report: Report, count: int, seconds: float) -> None:
    case = f"live 1 → {count}, keyframes"
    note(case)
    async with stage(apart=True) as here:
        await here.fill(count)
        await here.publisher(Codec.OPUS, Codec.VP8, recorded=BURSTS)
        if not await here.steady(count, patience=2 * seconds):
            note(f"{case}: not everybody got everything before the measurement began")
        window = await here.measure(seconds, count)
    _describe(report, case, window)
    report.add(case, "loss", round(window.loss, 4), "%")
    report.add(case, "CPU", window.cpu, "% of a core")
    report.add(case, "added latency, p50", window.latency(0.5), "ms")
    report.add(case, "added latency, p99", window.latency(0.99), "ms")


async def _saturated(report: Report, count: int) -> None:
    """Add cameras for that many receivers until no more fit; report the best result."""
    best: tuple[int, Window] | None = None
    async with stage(apart=True) as here:
        await here.fill(count)
        for cameras in range(1, CAMERAS + 1):
            note(f"saturation, {cameras} cameras → {count} real peers")
            await here.publisher(Codec.VP8, recorded=LIVE)
            receivers = count + cameras - 1  # a publisher watches the others
            await here.steady(receivers)
            window = await here.measure(6.0, receivers)
            if window.loss > MAX_LOSS:
                break
            if best is None or window.packets_per_cpu_second > best[1].packets_per_cpu_second:
                best = cameras, window
            if window.cpu > FULL_CPU:
                break
    if best is None:
        report.at_least("saturation, real peers", "packets per CPU second", 0.0, "1/s", REAL_BAR)
        return
    _rate(report, f"saturation, {best[0]} → {count} real peers", best[1], REAL_BAR)


async def _saturated_plainly(report: Report, count: int, suite: Suite, *, rounds: int, seconds: float) -> None:
    """Return the median of several rounds with the same transports."""
    case = f"saturation, 1 → {count} plain receivers, {suite}"
    note(case)
    async with stage(apart=True) as here:
        publisher = await here.publisher(Codec.VP8)
        await asyncio.to_thread(
            receive_plainly, here.client, here.sfu, here.room, publisher.participant, suite=suite, count=count
        )
        await here.steady(count, patience=2 * seconds)
        windows = [await here.saturate(seconds, count, IN_FLIGHT) for _ in range(rounds)]
    windows.sort(key=lambda window: window.packets_per_cpu_second)
    _rate(report, case, windows[rounds // 2], BARS[suite])


def _rate(report: Report, case: str, window: Window, bar: float) -> None:
    """Report a rate if 99.9 % of the packets arrived."""
    _describe(report, case, window)
    report.at_most(case, "loss", window.loss, "%", MAX_LOSS)
    report.at_least(case, "packets per CPU second", window.packets_per_cpu_second, "1/s", bar)


async def _largest(report: Report, name: str, sizes: list[int], grow: Grow) -> None:
    """Grow a room until it exceeds the limits; report the last size within them."""
    note(name)
    held: tuple[int, Window, float, float] | None = None
    async with stage(apart=True) as here:
        before = here.sfu.resident_bytes()
        for size in sizes:
            receivers = await grow(here, size)
            chooses = len(here.tracks) > AUDIO_SLOTS and all(track.is_audio for track in here.tracks)
            steady = await here.steady(receivers, 0.95 if chooses else 0.999)
            window = await here.measure(8.0, receivers)
            loss = window.gaps if chooses else window.loss
            note(f"{name}: N = {size}: loss {loss:.3f} %, p99 {window.latency(0.99):.1f} ms")
            if not steady or loss >= MAX_LOSS or window.latency(0.99) >= MAX_P99_MS:
                break
            memory = (here.sfu.resident_bytes() - before) / len(here.participants) / 1024
            held = (size, window, memory, loss)
    if held is None:
        report.add(name, "largest N", 0, "participants")
        return
    size, window, memory, loss = held
    case = name.replace("N", str(size)).replace("n", str(size), 2) if "n ↔ n" in name else name.replace("N", str(size))
    report.add(name, "largest N", size, "participants")
    _describe(report, case, window)
    report.add(case, "CPU", window.cpu, "% of a core")
    report.add(case, "loss", loss, "%")
    report.add(case, "added latency, p50", window.latency(0.5), "ms")
    report.add(case, "added latency, p99", window.latency(0.99), "ms")
    report.add(case, "memory per participant", memory, "KiB")


def _describe(report: Report, case: str, window: Window) -> None:
    report.add(case, "packets received", window.packets_per_second, "1/s")
    report.add(case, "bandwidth received", window.megabits_per_second, "Mbit/s")
    report.add(case, "CPU per packet", 1e6 / max(window.packets_per_cpu_second, 1e-9), "µs")
    report.add(case, "added latency, p99.9", window.latency(0.999), "ms")


def _sizes(first: int, last: int) -> list[int]:
    sizes = [first]
    while sizes[-1] < last:
        sizes.append(min(last, int(sizes[-1] * _GROWTH)))
    return sizes


async def _grow_audience(here: Stage, size: int) -> float:
    while len(here.tracks) < SPEAKERS:
        await here.publisher(Codec.OPUS)
    await here.fill(size - len(here.participants))
    return len(here.participants) * AUDIO_SLOTS / SPEAKERS


async def _grow_live(here: Stage, size: int) -> float:
    if not here.tracks:
        await here.publisher(Codec.OPUS, Codec.VP8, recorded=LIVE)
    await here.fill(size + 1 - len(here.participants))
    return size


async def _grow_meeting(here: Stage, size: int) -> float:
    while len(here.participants) < size:
        await here.publisher(Codec.OPUS, Codec.VP8, recorded=LIVE)
    return size - 1
