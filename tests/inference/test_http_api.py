"""The API for control: files to text, the listed models and tracks, and access."""

import asyncio
import contextlib
import io
import itertools
import json
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import av
import numpy as np
import pytest

from inference.config import InferenceConfig
from inference.main import Inference
from tests.inference.material import Floats, noises, prompt, prompts, silence, word_errors, words
from tests.support.waiting import eventually

SECRET = "node-secret-of-this-test"
AUTHORIZED = {"Authorization": f"Bearer {SECRET}"}


@contextlib.asynccontextmanager
async def serving(models_dir: Path, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    inference = Inference(
        InferenceConfig(sink_socket=tmp_path / "none.sock", models_dir=models_dir, node_secret=SECRET, api_port=0)
    )
    task = asyncio.create_task(inference.run(lambda: None))
    await eventually(
        lambda: inference.api is not None and inference.api.port and (models_dir.name == "none" or inference.state[0]),
        120,
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{inference.api.port}") as session:
        yield session
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def api(models_dir: Path, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(models_dir, tmp_path) as session:
        yield session


def wav(samples: Floats, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def webm(samples: Floats) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000, frame_size=960)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        frame.sample_rate = 16_000
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


async def asr(api: aiohttp.ClientSession, body: bytes, query: str = "") -> list[dict]:
    async with api.post(f"/ai/v1/asr{query}", data=io.BytesIO(body), headers=AUTHORIZED) as response:
        assert response.status == 200, await response.text()
        return [json.loads(line) async for line in response.content]


@pytest.mark.parametrize("write", [wav, webm])
async def test_a_file_becomes_segments(api: aiohttp.ClientSession, write) -> None:
    spoken = [one for one in prompts(12) if len(one.samples) < 10 * 16_000][:5]
    sound = np.concatenate([part for one in spoken for part in (silence(1), one.samples, silence(1))])
    lines = await asr(api, write(sound))
    segments = [line["segment"] for line in lines if "segment" in line]
    text = " ".join(segment["text"] for segment in segments)
    expected = " ".join(one.text for one in spoken)
    assert word_errors(expected, text) <= 0.08 * len(words(expected)), (text, lines)
    assert all(a["end_ms"] <= b["start_ms"] for a, b in itertools.pairwise(segments))
    assert {segment["lang"] for segment in segments} == {"en"}
    assert abs(segments[0]["start_ms"] - 700) <= 300
    assert lines[-1]["done"]["read_ms"] == pytest.approx(len(sound) / 16, abs=100)
    assert any("progress" in line for line in lines)


async def test_a_file_without_words_has_no_segments(api: aiohttp.ClientSession) -> None:
    sound = np.concatenate([sound for _, sound in noises(5)])
    lines = await asr(api, wav(sound))
    assert [line for line in lines if "segment" in line] == []
    assert "done" in lines[-1]


async def test_a_given_language_is_taken(api: aiohttp.ClientSession) -> None:
    spoken = prompt("pbx-invalidpark").samples
    lines = await asr(api, wav(spoken), "?language=es")
    assert {line["segment"]["lang"] for line in lines if "segment" in line} <= {"es"}


@pytest.mark.parametrize("body", [b"", b"not a media file at all" * 100, wav(silence(0))[:30], webm(silence(1))[:200]])
async def test_what_is_no_media_file_gets_a_reason(api: aiohttp.ClientSession, body: bytes) -> None:
    lines = await asr(api, body)
    assert "error" in lines[-1] or lines[-1]["done"]["read_ms"] == 0
    assert len(lines) <= 2


async def test_an_unknown_language_gets_a_reason(api: aiohttp.ClientSession) -> None:
    lines = await asr(api, wav(prompt("pbx-invalidpark").samples), "?language=xx")
    assert "no language 'xx'" in lines[-1]["error"]


@pytest.mark.parametrize("secret", [None, "Bearer wrong", SECRET])
async def test_only_the_node_secret_opens(api: aiohttp.ClientSession, secret: str | None) -> None:
    headers = {} if secret is None else {"Authorization": secret}
    for path in ("/ai/v1/info", "/ai/v1/streams", "/ai/v1/stats", "/ai/v1/health", "/ai/v1/none"):
        async with api.get(path, headers=headers) as response:
            assert response.status == 401
    async with api.post("/ai/v1/asr", data=b"", headers=headers) as response:
        assert response.status == 401


async def test_what_there_is(api: aiohttp.ClientSession) -> None:
    async with api.get("/health") as response:
        assert (await response.json())["captions"] is True
    async with api.get("/metrics") as response:
        assert "parley_inference_captions_available 1.0" in await response.text()
    async with api.get("/ai/v1/info", headers=AUTHORIZED) as response:
        info = await response.json()
    present = {model["name"]: model["present"] for model in info["models"]}
    assert (present["silero-vad"], present["whisper-base"]) == (True, True)
    assert info["emotion"]["works"] is False
    assert info["recogniser"].startswith("whisper-base-1.0.0+")
    assert set(info["synthesis"].values()) == {"no verdict (no model)"}
    async with api.post("/ai/v1/emotion", data=b"x", headers=AUTHORIZED) as response:
        assert response.status == 409
        assert (await response.json())["detail"].startswith("emotion is off: ")
    async with api.get("/ai/v1/streams/r/t", headers=AUTHORIZED) as response:
        assert response.status == 404
    async with api.post("/ai/v1/synthesis?medium=face", headers=AUTHORIZED) as response:
        verdict = (await response.json())["verdict"]
    assert (verdict["outcome"], verdict["text"], verdict["score"]) == ("no verdict", "no verdict (no model)", None)
    async with api.get("/ai/v1/streams", headers=AUTHORIZED) as response:
        assert await response.json() == {"streams": []}


async def test_without_models_files_are_refused_with_the_remedy(tmp_path: Path) -> None:
    async with serving(tmp_path / "none", tmp_path) as api:
        async with api.post("/ai/v1/asr", data=b"", headers=AUTHORIZED) as response:
            assert response.status == 503
            assert "parley models fetch" in (await response.json())["detail"]
        async with api.get("/health") as response:
            assert (await response.json())["captions"] is False
