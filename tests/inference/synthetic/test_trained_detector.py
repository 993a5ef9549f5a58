"""The included detector in real processes: files, live voices, Triton; never evidence."""

import asyncio
import contextlib
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from inference.config import InferenceConfig
from inference.main import Inference
from inference.model_error import ModelError
from inference.models import catalogue, store
from inference.synthetic.detector import NO_MODEL, Window, load_card
from inference.synthetic.detectors import FirstOf, LocalDetector
from inference.triton.detector_client import connected_detector
from parley import models_command
from sfu.api.sink_records import AnalysisWanted, TrackClosed
from tests.inference.detecting import generated, marked, natural, windows, with_detector
from tests.inference.material import Sfu, opus_packets, track_opened
from tests.inference.test_http_api import wav
from tests.support.triton import triton_server
from tests.support.waiting import eventually


@pytest.fixture
def models(models_dir: Path, tmp_path: Path) -> Path:
    return with_detector(models_dir, tmp_path / "models")


@contextlib.asynccontextmanager
async def running(
    models: Path, tmp_path: Path, **more: Any
) -> AsyncIterator[tuple[Inference, Sfu, aiohttp.ClientSession]]:
    sfu = Sfu.listen(tmp_path / "sinks.sock")
    serving = asyncio.create_task(sfu.serve())
    config = InferenceConfig(sink_socket=sfu.path, models_dir=models, node_secret="s", api_port=0, **more)
    inference = Inference(config)
    task = asyncio.create_task(inference.run(lambda: None))
    try:
        await sfu.until(lambda: AnalysisWanted(audio=True, video=False) in sfu.said(AnalysisWanted))
        await sfu.until(lambda: sfu.available is not None and sfu.available.available)
        assert inference.api is not None
        headers = {"Authorization": "Bearer s"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{inference.api.port}", headers=headers) as session:
            yield inference, sfu, session
    finally:
        for one in (task, serving):
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one
        sfu.close()


async def verdict_on(session: aiohttp.ClientSession, body: bytes) -> dict[str, Any]:
    async with session.post("/ai/v1/synthesis", data=io.BytesIO(body)) as response:
        assert response.status == 200, await response.text()
        return dict((await response.json())["verdict"])


async def test_files_and_live_voices_get_marked_verdicts(models: Path, tmp_path: Path) -> None:
    sound = natural()
    async with running(models, tmp_path) as (_, sfu, session):
        person = await verdict_on(session, wav(sound))
        machine = await verdict_on(session, wav(generated(sound)))
        await sfu.send(track_opened(3, uses=("analysis",)))
        await sfu.play(3, opus_packets(generated(sound)), speed=4)

        async def live() -> dict[str, Any] | None:
            async with session.get("/ai/v1/streams/r/t3") as response:
                report = await response.json() if response.status == 200 else {}
            return report if report.get("synthesis", {}).get("score") is not None else None

        report = await eventually(live, 120)
        async with session.get("/ai/v1/info") as response:
            card = (await response.json())["synthesis"]["voice"]
        await sfu.send(TrackClosed(handle=3, reason="consent"))

        async def gone() -> bool:
            async with session.get("/ai/v1/streams/r/t3") as response:
                return response.status == 404

        await eventually(gone, 120)
    assert marked(person), person
    assert marked(machine), machine
    assert marked(report["synthesis"]), report
    assert person["score"] < machine["score"]
    assert card["evidential"] is False
    assert report["emotion"] is None


async def test_without_the_model_there_is_no_verdict(models_dir: Path, tmp_path: Path) -> None:
    inference = Inference(
        InferenceConfig(sink_socket=tmp_path / "none.sock", models_dir=models_dir, node_secret="s", api_port=0)
    )
    task = asyncio.create_task(inference.run(lambda: None))

    async def listening() -> bool:
        return inference.api is not None and inference.api.port > 0

    await eventually(listening, 120)
    assert inference.api is not None
    headers = {"Authorization": "Bearer s"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{inference.api.port}", headers=headers) as session:
        verdict = await verdict_on(session, wav(natural()[:32_000]))
    assert (verdict["text"], verdict["score"], verdict["card"]) == (NO_MODEL, None, None)
    assert not inference.analysis.wanted.audio
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_triton_and_the_worker_say_the_same_and_stand_in_for_each_other(models: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    assert models_command.run(["build", "--models-dir", str(models), "--triton", str(repository)]) == 0
    for name in ("whisper", "whisper_encoder", "whisper_decoder"):  # not needed here, and slow to load
        (repository / name).rename(tmp_path / name)
    directory = store.directory(models, catalogue.load().named("synthetic-voice"))
    card, ready = load_card(directory / "card.toml"), asyncio.Event()
    local = LocalDetector(card, nice=10, changed=ready.set)
    task = asyncio.create_task(local.run(directory))
    await asyncio.wait_for(ready.wait(), 60)
    pieces = [*windows(natural()), *windows(generated(natural())), (90_000, 94_000, bytes(128_000))]
    alone = await local.score(pieces)
    with triton_server(repository, tmp_path / "server") as server:
        async with (
            connected_detector(server.grpc, card, store.identity(directory)) as served,
            connected_detector(server.grpc, card, "another+00000000") as unknown,
        ):
            both = FirstOf((served,), (local,))
            assert _rounded(await served.score(pieces)) == _rounded(alone)
            with pytest.raises(ModelError, match="not another"):
                await unknown.score(pieces[:1])
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
            assert await both.score(pieces) == alone
    assert len(alone) == len(pieces) - 1, "silence is no voice"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(ModelError):
        await local.score(pieces[:1])


def _rounded(scored: list[Window]) -> list[tuple[int, int, float]]:
    return [(one.start_ms, one.end_ms, round(one.score, 3)) for one in scored]
