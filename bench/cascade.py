"""Live 720p to a room on two workers: real peers (ICE, DTLS, SRTP, TWCC, NACK), half on each, one publisher at home.

The home's statistics count the packets between the workers: with one copy of each stream, there are as many as were
published, whatever the number of watchers. Loss counts packets that a receiver did not authenticate. The rate rises
from half of the recorded one (with sound, 187 packets/s) to the full rate while nothing is lost; the highest rate
without loss is reported. Workers and clients share this machine's cores.
"""

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from bench.light.joining import leave_all
from bench.light.library import LightClient
from bench.light.stage import LIVE, Stage, Window, observe
from bench.report import Report, note, progress
from bench.sfu_process import SeveralProcesses, SfuProcess, running_sfu
from sfu.formats.codecs import Codec

SLOWER = (2, 1)
ROOM = "bench"


@dataclass(frozen=True, slots=True)
class Held:
    """A window at a rate: packets/s for each watcher, and packets between the workers per published packet."""

    window: Window
    rate: float
    copies: float

    @property
    def whole(self) -> bool:
        """Return True if nothing was lost."""
        return round(self.window.loss, 4) == 0


def run(*, quick: bool) -> Report:
    """Measure; if `quick`, with 100 watchers for a short time."""
    return asyncio.run(_measure(100, 3.0) if quick else _measure(1500, 15.0))


async def _measure(count: int, seconds: float) -> Report:
    report = Report()
    case = f"live 1 → {count} over two workers"
    note(case)
    with running_sfu(node="home") as home, running_sfu(node="further", node_secret=home.secret) as further:
        _extend(home, further)
        client = LightClient()
        near, far = Stage(home, client, ROOM), Stage(further, client, ROOM)
        try:
            await near.publisher(Codec.OPUS, Codec.VP8, recorded=LIVE)
            await near.fill(count // 2)
            await far.fill(count - count // 2)
            held = await _rise(near, SeveralProcesses(home.pid, (further,)), count, seconds)
        finally:
            await leave_all([*near.participants, *far.participants])
            client.close()
    window = held.window
    report.at_most(case, "copies of each track between workers", round(held.copies, 4), "", 1.0)
    report.at_most(case, "loss", round(window.loss, 4), "%", 0.0)
    report.add(case, "packets for each watcher", held.rate, "1/s")
    report.add(case, "packets received", window.packets_per_second, "1/s")
    report.add(case, "CPU of both workers", window.cpu, "% of a core")
    report.add(case, "added latency, p50", window.latency(0.5), "ms")
    report.add(case, "added latency, p99", window.latency(0.99), "ms")
    return report


async def _rise(near: Stage, workers: SeveralProcesses, count: int, seconds: float) -> Held:
    """Return the highest rate without loss, or the lowest rate if all had loss."""
    best: Held | None = None
    for near.slower in progress(SLOWER, "cascade"):
        steady = await near.steady(count)
        held = await _at_this_rate(near, workers, count, seconds)
        note(
            f"{held.rate:.0f} packets/s each: loss {held.window.loss:.3f} %, CPU {held.window.cpu:.0f} %,"
            f" p99 {held.window.latency(0.99):.1f} ms{'' if steady else ', not steady before'}"
        )
        if best is None or held.whole:
            best = held
        if not held.whole:
            break
    assert best is not None
    return best


async def _at_this_rate(near: Stage, workers: SeveralProcesses, count: int, seconds: float) -> Held:
    def published() -> int:
        return sum(near.client.packets_sent(track.source) for track in near.tracks)

    crossed, before = _crossed(near.sfu), published()
    window = await observe(near.client, workers, near.tracks, count, near.perform(seconds))
    packets = published() - before
    return Held(window, packets / seconds, (_crossed(near.sfu) - crossed) / max(packets, 1))


def _extend(home: SfuProcess, further: SfuProcess) -> None:
    """Tell the second worker that the home's room spreads to it."""
    body = json.dumps({"node": "home", "url": home.http_url}).encode()
    request = urllib.request.Request(
        f"{further.http_url}/node/v1/rooms/{ROOM}/spill",
        body,
        {"Authorization": f"Bearer {home.secret}", "Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=10).close()


def _crossed(home: SfuProcess) -> int:
    """Return the number of packets that the home has sent to the second worker, without retransmissions."""
    request = urllib.request.Request(
        f"{home.http_url}/node/v1/rooms/{ROOM}/statistics", headers={"Authorization": f"Bearer {home.secret}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        links: list[dict[str, Any]] = json.load(answer)["links"]
    return sum(int(link["sent"]) for link in links)
