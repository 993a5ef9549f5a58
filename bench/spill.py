"""Live 720p to a room on two workers: real peers (ICE, DTLS, SRTP, TWCC, NACK), half on each, one publisher at home.

What crosses between the workers is counted by the home's own statistics: one copy of each stream means as many packets
as were published, whatever the number of watchers behind. Loss is what no receiver on either worker authenticated.
"""

import asyncio
import json
import sys
import urllib.request
from dataclasses import dataclass
from typing import Any

from bench.light.joining import leave_all
from bench.light.library import LightClient
from bench.light.stage import Stage, observe
from bench.report import Report
from bench.sfu_process import Process, SfuProcess, running_sfu
from sfu.formats.codecs import Codec

ROOM = "bench"


@dataclass(frozen=True, slots=True)
class Both(Process):
    """Two processes as one: their times together. `pid` is the home's."""

    further: SfuProcess

    def cpu_seconds(self) -> float:
        """User and system time so far, of both."""
        return Process(self.pid).cpu_seconds() + self.further.cpu_seconds()


def run(*, quick: bool) -> Report:
    """Measure; in `quick` with 100 watchers for a short time."""
    return asyncio.run(_measure(100, 3.0) if quick else _measure(1500, 15.0))


async def _measure(count: int, seconds: float) -> Report:
    report = Report()
    case = f"live 1 → {count} over two workers"
    print(f"spill: {case}", file=sys.stderr)
    with running_sfu(node="home") as home, running_sfu(node="further", node_secret=home.secret) as further:
        _spill(home, further)
        client = LightClient()
        near, far = Stage(home, client, ROOM), Stage(further, client, ROOM)
        try:
            await near.publisher(Codec.OPUS, Codec.VP8)
            await near.fill(count // 2)
            await far.fill(count - count // 2)
            steady = await near.steady(count)
            crossed = _crossed(home)
            published = sum(client.packets_sent(track.source) for track in near.tracks)
            window = await observe(client, Both(home.pid, further), near.tracks, count, near.perform(seconds))
            crossed = _crossed(home) - crossed
            published = sum(client.packets_sent(track.source) for track in near.tracks) - published
        finally:
            await leave_all([*near.participants, *far.participants])
            client.close()
    if not steady:
        print(f"spill: {case}: not everybody got everything before the measurement began", file=sys.stderr)
    report.at_most(case, "copies of each track between workers", round(crossed / max(published, 1), 4), "", 1.0)
    report.at_most(case, "loss", round(window.loss, 4), "%", 0.0)
    report.add(case, "packets received", window.packets_per_second, "1/s")
    report.add(case, "CPU of both workers", window.cpu, "% of a core")
    report.add(case, "added latency, p50", window.latency(0.5), "ms")
    report.add(case, "added latency, p99", window.latency(0.99), "ms")
    return report


def _spill(home: SfuProcess, further: SfuProcess) -> None:
    """Tell the further worker that the home's room spills over to it."""
    body = json.dumps({"node": "home", "url": home.http_url}).encode()
    request = urllib.request.Request(
        f"{further.http_url}/node/v1/rooms/{ROOM}/spill",
        body,
        {"Authorization": f"Bearer {home.secret}", "Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=10).close()


def _crossed(home: SfuProcess) -> int:
    """Return how many packets the home has sent to the further worker, repairs apart."""
    request = urllib.request.Request(
        f"{home.http_url}/node/v1/rooms/{ROOM}/statistics", headers={"Authorization": f"Bearer {home.secret}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        links: list[dict[str, Any]] = json.load(answer)["links"]
    return sum(int(link["sent"]) for link in links)
