"""Moderation: time until a host's REST request takes effect in the live room, as seen by another participant.

It uses a complete `parley up`, and a host and a guest with our client over loopback. The time is from before the
request is sent until the other's signaling reports the effect, when the sfu has already changed its table. Each action
is repeated many times, and again with Redis stopped (SIGSTOP), which only serves for wake-ups.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from bench.report import Report, progress
from parley_client import Api, Room
from tests.support.call import become_admin, speaking
from tests.support.server import RunningServer, running_server

BAR_MS = 200
BAR_WITHOUT_REDIS_MS = 1000


def run(*, quick: bool) -> Report:
    """Measure 30 rounds of each action (10 if quick), with and without Redis."""
    rounds = 10 if quick else 30
    report = Report()
    with running_server(inference="false") as server:
        asyncio.run(_measure(report, server, "Redis running", rounds, BAR_MS))
        with server.stopped("redis"):
            asyncio.run(_measure(report, server, "Redis stopped", rounds, BAR_WITHOUT_REDIS_MS))
    return report


async def _measure(report: Report, server: RunningServer, case: str, rounds: int, bar: float) -> None:
    async with Api(server.url) as host, Api(server.url) as guest:
        await become_admin(host, server.setup_token)
        meeting = await host.create_meeting("Moderated")
        first, second = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
        async with (
            Room(host.signaling_url(first), token=first.token) as watcher,
            Room(guest.signaling_url(second), token=second.token) as speaker,
            speaking(speaker) as microphone,
        ):
            await watcher.until(lambda: microphone.track in watcher.state.tracks)
            path = f"/meetings/{meeting}/participants/{second.participant}"

            async def mute(on: bool) -> None:
                body = {"muted": ["microphone"] if on else []}
                asked = host.request("POST", f"{path}/mute", body)
                await _both(asked, watcher.until(lambda: watcher.state.tracks[microphone.track].muted == on))

            async def silence(on: bool) -> None:
                asked = host.request("PUT", f"{path}/role", {"role": "viewer" if on else "participant"})
                await _both(asked, watcher.until(lambda: (microphone.track in watcher.state.tracks) != on))

            for what, act in (("mute and release", mute), ("a right lost and given back", silence)):
                _add(report, case, what, await _times(act, rounds, f"{case}: {what}"), bar)
        _add(report, case, "removal", [await _removal(host, guest, server) for _ in range(rounds // 3)], bar)


async def _removal(host: Api, guest: Api, server: RunningServer) -> float:
    meeting = await host.create_meeting("Left")
    first, second = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
    async with (
        Room(host.signaling_url(first), token=first.token) as watcher,
        Room(guest.signaling_url(second), token=second.token),
    ):
        await watcher.until(lambda: second.participant in watcher.state.participants)
        began = time.monotonic()
        path = f"/meetings/{meeting}/participants/{second.participant}/remove"
        gone = watcher.until(lambda: second.participant not in watcher.state.participants)
        await _both(host.request("POST", path, {}), gone)
        return 1000 * (time.monotonic() - began)


async def _times(act: Callable[[bool], Awaitable[None]], rounds: int, what: str) -> list[float]:
    taken = []
    for number in progress(range(rounds), what):
        began = time.monotonic()
        await act(number % 2 == 0)
        taken.append(1000 * (time.monotonic() - began))
    if rounds % 2:
        await act(False)
    return taken


async def _both(asked: Awaitable[object], seen: Awaitable[object]) -> None:
    await asyncio.gather(asked, seen)


def _add(report: Report, case: str, what: str, taken: list[float], bar: float) -> None:
    report.add(case, f"{what}, median", statistics.median(taken), "ms")
    report.at_most(case, f"{what}, worst of {len(taken)}", max(taken), "ms", bar)
