"""Media over a real sink socket in, expressions and cues out, only with consent and while switched on."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import numpy as np
import pytest

from inference.config import InferenceConfig
from inference.main import Inference
from sfu.api.sink_records import AnalysisWanted, KeyframeWanted, PacketRecord, TrackClosed, TrackOpened
from tests.inference.material import Sfu, opus_packets, prompt, silence, track_opened
from tests.inference.portrait import PER_SECOND, film, frames, packets, portrait
from tests.support.processes import children_running
from tests.support.waiting import eventually

AUTHORIZED = {"Authorization": "Bearer s"}


class Control:
    """A control that returns an administrator's choices and accepts facts."""

    def __init__(self) -> None:
        self.emotion = True
        self.facts: list[bytes] = []

    async def setup(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        assert request.headers["Authorization"] == "Bearer s"
        return aiohttp.web.json_response({"emotion": self.emotion})

    async def take(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self.facts.append(await request.read())
        return aiohttp.web.json_response({"acknowledged": 1 << 30})


@contextlib.asynccontextmanager
async def controlled() -> AsyncIterator[tuple[Control, str]]:
    control, application = Control(), aiohttp.web.Application()
    application.router.add_get("/internal/v1/ai/setup", control.setup)
    application.router.add_post("/internal/v1/facts", control.take)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    yield control, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@contextlib.asynccontextmanager
async def analysing(models: Path, scratch: Path) -> AsyncIterator[tuple[Inference, Sfu, Control]]:
    sfu = Sfu.listen(scratch / "sinks.sock")
    async with controlled() as (control, url):
        inference = Inference(
            InferenceConfig(sink_socket=sfu.path, models_dir=models, control_url=url, node_secret="s", api_port=0)
        )
        tasks = [asyncio.create_task(sfu.serve()), asyncio.create_task(inference.run(lambda: None))]
        try:
            yield inference, sfu, control
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            sfu.close()


def expression(inference: Inference, track: str) -> str | None:
    report = inference.analysis.report("r", track)
    return None if report is None or report["emotion"] is None else report["emotion"]["expression"]


async def show(sfu: Sfu, handle: int, sent: list[list[bytes]]) -> None:
    """Send frames in real time."""
    begun, seq = time.monotonic(), 100
    for number, own in enumerate(sent):
        await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
        for packet in own:
            await sfu.send(PacketRecord(handle, seq, time.monotonic_ns(), packet))
            seq += 1


@pytest.fixture
async def running(models_dir: Path, faces_dir: Path, tmp_path: Path) -> AsyncIterator[tuple[Inference, Sfu, Control]]:
    async with analysing(models_dir, tmp_path) as (inference, sfu, control):
        await eventually(lambda: AnalysisWanted(audio=True, video=True) in sfu.said(AnalysisWanted), 120)
        await eventually(lambda: inference.analysis.feed.ready, 120)
        await sfu.until(lambda: sfu.available is not None and sfu.available.available)
        yield inference, sfu, control


def camera(handle: int) -> TrackOpened:
    return track_opened(handle, media="video", codec="VP8", clock_rate=90_000, source="camera", uses=("analysis",))


async def test_a_camera_is_named_and_forgotten_with_its_consent(running: tuple[Inference, Sfu, Control]) -> None:
    inference, sfu, control = running
    await sfu.send(camera(7))
    showing = asyncio.create_task(show(sfu, 7, packets(frames(portrait(), 120))))
    await eventually(lambda: expression(inference, "t7") == "neutral", 120)
    (worker,) = children_running("inference.analysis_worker")
    assert os.getpriority(os.PRIO_PROCESS, worker) >= 10
    await sfu.send(TrackClosed(handle=7, reason="consent"))
    await eventually(lambda: inference.analysis.report("r", "t7") is None, 120)
    showing.cancel()
    assert control.facts == [], "nothing of it is stored"

    await sfu.send(camera(8))
    await show(sfu, 8, packets(frames(portrait(), 10))[1:])  # it begins in the middle
    await eventually(lambda: KeyframeWanted(handle=8) in sfu.records, 120)

    control.emotion = False
    await eventually(lambda: sfu.said(AnalysisWanted)[-1] == AnalysisWanted(), 120)
    await eventually(lambda: not children_running("inference.analysis_worker"), 120)
    await sfu.send(camera(9))
    await show(sfu, 9, packets(frames(portrait(), 12)))
    report = inference.analysis.report("r", "t9")
    assert report is not None
    assert report["emotion"] is None
    assert report["synthesis"]["text"] == "no verdict (no model)"


async def test_microphones_and_files_give_cues(running: tuple[Inference, Sfu, Control]) -> None:
    inference, sfu, _ = running
    await sfu.send(track_opened(3, uses=("analysis",)))
    sound = prompt("queue-periodic-announce").samples[: 16_000 * 3]
    await sfu.play(3, opus_packets(np.concatenate((sound, silence(1.5)))), speed=2)

    def utterances() -> list[dict[str, Any]]:
        report = inference.analysis.report("r", "t3")
        return [] if report is None else report["emotion"]["utterances"]

    (heard, *_) = await eventually(utterances, 120)
    assert 140 < heard["pitch_hz"] < 260
    assert sfu.finals == [], "captions are another consent"

    assert inference.api is not None
    address = f"http://127.0.0.1:{inference.api.port}/ai/v1/emotion"
    async with aiohttp.ClientSession(headers=AUTHORIZED) as session:
        async with session.post(address, data=film(portrait(), 6, sound)) as response:
            lines = [json.loads(line) async for line in response.content]
        (found,) = [line["findings"] for line in lines if "findings" in line]
        assert [span["expression"] for span in found["expressions"]] == ["uncertain", "neutral"]
        assert (found["pictures"], found["with_faces"], found["missing"]) == (6, 6, [])
        assert found["voice_cues"][0]["pitch_hz"] > 140
        async with session.post(address, data=b"this is no film") as response:
            assert "cannot be read" in await response.text()
