"""Seeking in a film of two hours, on the page of its recording in Chromium and Firefox.

    .venv/bin/pytest -q -s tests/e2e/bar_seek.py

A short film is made by the recorder, and repeated without encoding it anew, as a file of two hours in its place.
"""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.e2e.conftest import Deployment
from tests.e2e.test_breakouts import SIGN_IN
from tests.support.bidi import firefox
from tests.support.call import PASSWORD, call
from tests.support.chromium import chromium, open_page
from tests.support.waiting import eventually

HOURS = 2
MOST_MS = 300
SEEKS = 20
READY = """(async () => {
  for (let turn = 0; turn < 600; turn += 1) {
    const film = document.querySelector('.watch-film');
    if (film && film.readyState >= 1) return film.duration;
    if (film && film.error) throw new Error(film.error.message);
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(document.body.innerText);
})()"""
FIRST_BYTE = """(async () => {
  const film = document.querySelector('.watch-film').src, times = [];
  for (let number = 0; number < 5; number += 1) {
    const begun = performance.now();
    const answer = await fetch(film, {headers: {Range: `bytes=${number * 1000}-`}, cache: 'no-store'});
    const reader = answer.body.getReader();
    await reader.read();
    times.push(performance.now() - begun);
    await reader.cancel();
  }
  return times;
})()"""
SEEK = """(async () => {
  const film = document.querySelector('.watch-film'), times = [];
  film.muted = true;
  for (const place of PLACES) {
    const begun = performance.now();
    const there = new Promise((done) => film.addEventListener('seeked', done, {once: true}));
    film.currentTime = place;
    await there;
    times.push(performance.now() - begun);
    if (Math.abs(film.currentTime - place) > 0.1) throw new Error(`at ${film.currentTime}, not ${place}`);
  }
  return times;
})()"""

Evaluate = Callable[[str], Awaitable[Any]]


async def _film(deployment: Deployment) -> str:
    """Record a meeting, and make its film two hours long; return the recording's id."""
    admin = deployment.admin
    meeting = await admin.create_meeting("Long", consent="implied")
    async with call(admin, meeting, verify_tls=False):
        recording = str((await admin.start_recording(meeting))["id"])
        await asyncio.sleep(20)
        await admin.stop_recording(meeting)

    async def is_made() -> bool:
        found = await admin.request("GET", f"/recordings/{recording}")
        return bool(found["composition"] and found["composition"]["state"] == "done")

    await eventually(is_made, 120)
    (path,) = [path for path in deployment.server.data.rglob("*.mp4") if recording in str(path)]
    await asyncio.to_thread(_lengthen, path)
    return recording


def _lengthen(path: Path) -> None:
    """Repeat a film's packets until it is two hours long."""
    long = path.with_suffix(".long")
    with av.open(str(path)) as short, av.open(str(long), "w", "mp4", options={"movflags": "+faststart"}) as out:
        outs = {stream.index: out.add_stream_from_template(stream) for stream in short.streams if stream.type != "data"}
        packets = [packet for packet in short.demux(*outs) if packet.dts is not None]
        length = Fraction(short.duration or 0, av.time_base)
        for number in range(int(HOURS * 3600 / length)):
            for packet in packets:
                copy = av.Packet(bytes(packet))
                shift = round(number * length / packet.time_base)
                copy.pts, copy.dts, copy.time_base = packet.pts + shift, packet.dts + shift, packet.time_base
                copy.duration, copy.is_keyframe, copy.stream = (
                    packet.duration,
                    packet.is_keyframe,
                    outs[packet.stream.index],
                )
                out.mux(copy)
    print(f"\n{long.stat().st_size / 1e6:.0f} MB")
    long.rename(path)


async def _measure(name: str, evaluate: Evaluate) -> None:
    length = float(await evaluate(READY))
    assert abs(length - HOURS * 3600) < 60
    places = [random.Random(number).uniform(1, length - 1) for number in range(SEEKS)]
    first = await evaluate(FIRST_BYTE)
    times = await evaluate(SEEK.replace("PLACES", str(places)))
    print(f"{name}: first byte {statistics.median(first):.0f} ms, at most {max(first):.0f};", end=" ")
    print(f"{SEEKS} seeks {statistics.median(times):.0f} ms, at most {max(times):.0f}: {[round(ms) for ms in times]}")
    assert max(first) <= MOST_MS
    assert max(times) <= MOST_MS


@pytest.mark.timeout(600)
async def test_any_place_of_two_hours_is_soon_there(deployment: Deployment) -> None:
    page_of = f"/recordings/{await _film(deployment)}"
    hosts = deployment.network.hosts
    async with chromium(hosts[0].prefix) as browser:
        page = await open_page(browser, deployment.url_for(0))
        assert await page.evaluate(SIGN_IN, PASSWORD) == 200
        await page.goto(deployment.url_for(0) + page_of)
        await _measure("Chromium", page.evaluate)
    async with firefox(hosts[1].prefix) as fox:
        await fox.navigate(deployment.url_for(1))
        assert await fox.evaluate(f"({SIGN_IN})({PASSWORD!r})") == 200
        await fox.navigate(deployment.url_for(1) + page_of)
        await _measure("Firefox", fox.evaluate)
