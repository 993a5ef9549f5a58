"""Cost of observation: a scrape of /metrics at 500 participants, and tracing one request in ten.

Tracing is measured on control, where every request can begin a trace: blocks of requests go alternately to two servers,
one that traces to a collector and one that does not. Only control's process time counts, including the kernel.
"""

import asyncio
import statistics
import time
import urllib.request
from pathlib import Path

from bench.light.stage import stage
from bench.report import Report, progress
from parley_client import Api
from sfu.formats.codecs import Codec
from tests.support.call import become_admin
from tests.support.cpu_time import cpu_seconds
from tests.support.otlp import running_trace_receiver
from tests.support.server import RunningServer, running_server

_SCRAPES = 20
_SERVER = {"inference": "false", "https_port": "-1", "requests_per_minute": "1000000"}


def run(*, quick: bool) -> Report:
    """Measure; if `quick`, with fewer participants and requests."""
    report = Report()
    asyncio.run(_scrape(report, 100 if quick else 500))
    asyncio.run(_tracing(report, blocks=3 if quick else 9, requests=300 if quick else 600))
    return report


async def _scrape(report: Report, participants: int) -> None:
    async with stage() as here:
        await here.publisher(Codec.OPUS, Codec.VP8)
        await here.fill(participants - 1)
        await here.steady(participants - 1)
        times = [await asyncio.to_thread(_scraped, f"{here.sfu.http_url}/metrics") for _ in range(_SCRAPES)]
    case = f"/metrics at {participants} participants"
    report.at_most(case, "scrape, median", 1000 * statistics.median(times), "ms", 20.0)
    report.add(case, "scrape, longest", 1000 * max(times), "ms")


def _scraped(url: str) -> float:
    begin = time.perf_counter()
    with urllib.request.urlopen(url, timeout=10) as answer:
        answer.read()
    return time.perf_counter() - begin


async def _tracing(report: Report, *, blocks: int, requests: int) -> None:
    with (
        running_trace_receiver() as receiver,
        running_server(**_SERVER, otlp_url=receiver.url, trace_ratio="0.1") as traced,
        running_server(**_SERVER) as plain,
    ):
        costs: dict[str, list[float]] = {"traced": [], "plain": []}
        async with Api(traced.url) as one, Api(plain.url) as other:
            for api, server in ((one, traced), (other, plain)):
                await become_admin(api, server.setup_token)
                await api.create_meeting("Listed")
                await _cost(api, server, requests)  # warm
            for _ in progress(range(blocks), "tracing"):
                costs["traced"].append(await _cost(one, traced, requests))
                costs["plain"].append(await _cost(other, plain, requests))
    added = [100 * (a / b - 1) for a, b in zip(costs["traced"], costs["plain"], strict=True)]
    case = "tracing one request in ten"
    report.at_most(case, "added CPU of control, median", statistics.median(added), "%", 1.0)
    report.add(case, "CPU per request", 1e6 * statistics.median(costs["plain"]) / requests, "µs")


async def _cost(api: Api, server: RunningServer, requests: int) -> float:
    """Return the CPU seconds of control for that many requests."""
    process = Path(f"/proc/{server.part_pid('control')}")
    before = cpu_seconds(process)
    for _ in range(requests):
        await api.request("GET", "/meetings")
    return cpu_seconds(process) - before
