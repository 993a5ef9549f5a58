"""The time from the end of a meeting until its film is ready, with and without parts made during the recording.

    BAR_SECONDS=3600 BAR_PEOPLE=4 .venv/bin/pytest -q -s tests/recorder/bar_film_early.py -k True

The recorder gets the packets of cameras of 720p30 in real time, and its jobs from a stand-in for control.
"""

import asyncio
import heapq
import io
import os
import time
from dataclasses import replace
from pathlib import Path

import aiohttp.web
import av
import msgspec
import numpy as np
import pytest

from foundation.jobs import JobOutcome
from recorder.config import RecorderConfig
from recorder.cores import FreeCores
from sfu.api.sink_records import RecordingEnded
from sfu.formats.codecs import Codec
from tests.recorder.conftest import running, wait_for_manifest
from tests.recorder.media import Stream, is_flash, opus, video
from tests.recorder.sink_server import SinkServer, begun
from tests.recorder.test_lip_sync import beeps_in

SECONDS = int(os.environ.get("BAR_SECONDS", "150"))
PEOPLE = int(os.environ.get("BAR_PEOPLE", "2"))
FPS = 30
_MOST_APART = 0.040


class Jobs:
    """Control's side of the film's job, which there is once the recording is finished."""

    def __init__(self) -> None:
        self.is_finished = False
        self.outcomes: list[JobOutcome] = []
        self.done = asyncio.Event()

    async def claim(self, _: aiohttp.web.Request) -> aiohttp.web.Response:
        if not self.is_finished or self.done.is_set():
            return aiohttp.web.Response(status=204)
        job = {"id": "job", "kind": "compose", "subject": "rec1", "attempt": len(self.outcomes) + 1}
        return aiohttp.web.json_response(job)

    async def outcome(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self.outcomes.append(msgspec.json.decode(await request.read(), type=JobOutcome))
        if not self.outcomes[-1].released:
            self.done.set()
        return aiohttp.web.json_response({"held": True})

    async def progress(self, _: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.json_response({"held": True})

    async def serve(self) -> tuple[aiohttp.web.AppRunner, str]:
        app = aiohttp.web.Application()
        app.router.add_post("/internal/v1/jobs/claim", self.claim)
        app.router.add_post("/internal/v1/jobs/job/outcome", self.outcome)
        app.router.add_post("/internal/v1/jobs/job/progress", self.progress)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def streams(opened_at: int) -> list[Stream]:
    """Return a camera and a microphone for each person; the first person's flash and beep every second."""
    found = []
    for number in range(PEOPLE):
        pictures = video(Codec.VP8, FPS * 10, fps=FPS, flash_every=0 if number else FPS, width=1280, height=720)
        sounds = opus(500, beep_every=0 if number else 50)
        common = {"opened_at": opened_at, "participant": f"p{number}", "drift": 80e-6 * (1 - number)}
        found += [
            Stream(codec=Codec.VP8, frames=pictures * (SECONDS // 10), fps=FPS, track=f"cam{number}",
                   handle=2 * number + 1, ssrc=11 + number, **common),
            Stream(codec=Codec.OPUS, frames=sounds * (SECONDS // 10), fps=50, track=f"mic{number}",
                   handle=2 * number + 2, ssrc=21 + number, **common),
        ]  # fmt: skip
    return found


def apart(film: Path) -> tuple[float, int]:
    """Return the greatest distance of a flash from its beep, in s, and the number of flashes."""
    flashes: list[float] = []
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            luma = frame.to_ndarray(format="gray")[:720]
            if is_flash(luma[200:350, 60:580]) and (not flashes or frame.time - flashes[-1] > 0.5):
                flashes.append(frame.time)
    beeps = np.array(beeps_in(io.BytesIO(film.read_bytes()), 0))
    return max(float(np.min(np.abs(beeps - flash))) for flash in flashes[1:-1]), len(flashes)


@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.parametrize("early", [True, False])
async def test_the_film_is_ready_soon_after_the_end(
    config: RecorderConfig, early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.environ.get("BAR_BUSY"):  # on a machine without free cores, which would only wait
        monkeypatch.setattr(FreeCores, "look", lambda _: 2.0)
    jobs = Jobs()
    runner, url = await jobs.serve()
    config = replace(config, films_while_recording=early, control_url=url, node_secret="x")
    opened_at, unix_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
    people = [replace(stream, opened_unix_ms=unix_ms) for stream in streams(opened_at)]
    records = heapq.merge(*(stream.records() for stream in people), key=lambda record: record.arrival)
    started = msgspec.structs.replace(begun(opened_at=opened_at), started_unix_ms=unix_ms, opened_unix_ms=unix_ms)
    async with SinkServer(config.sink_socket) as sfu, running(config):
        await sfu.attached()
        await sfu.send(started, *(stream.opened() for stream in people))
        for record in records:
            if record.arrival > time.monotonic_ns():
                await asyncio.sleep(0.05)
            await sfu.send(record)
        ended = time.monotonic()
        made = len(list(config.recordings_dir.glob(".composing/*/rec1/compose/*/0*.mp4")))
        await sfu.send(RecordingEnded(recording="rec1", room="room1"))
        await wait_for_manifest(config.recordings_dir / "rec1", 120)
        finished = time.monotonic() - ended
        jobs.is_finished = True
        await asyncio.wait_for(jobs.done.wait(), 500)
        took = time.monotonic() - ended
    await runner.cleanup()
    result = jobs.outcomes[-1].result
    assert result is not None, jobs.outcomes
    off, flashes = await asyncio.to_thread(apart, config.recordings_dir / "rec1" / str(result["file"]))
    print(f"\nearly {early}: {PEOPLE} people, {SECONDS} s: {made} parts before the end, files after {finished:.1f} s,")
    print(f"film after {took:.1f} s; {flashes} flashes at most {off * 1000:.0f} ms from a beep; load {os.getloadavg()}")
    assert off <= _MOST_APART
