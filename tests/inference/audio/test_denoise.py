"""Noise suppression: quieter noise, speech in its place, the length kept; off by default."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from inference.audio.denoise import Denoiser
from inference.config import InferenceConfig
from inference.engines.local import LocalEngine
from inference.messages import ClipMessage
from inference.models import catalogue, store
from parley import models_command
from tests.inference.material import RATE, prompt, word_errors, words


@pytest.fixture(scope="module")
def denoiser(models_dir: Path) -> Denoiser:
    assert models_command.main(["fetch", "--models-dir", str(models_dir), "dtln"]) == 0
    return Denoiser(store.directory(models_dir, catalogue.load().named(catalogue.DENOISE_MODEL)))


def test_noise_goes_and_speech_stays_where_it_was(denoiser: Denoiser) -> None:
    clean = prompt("queue-periodic-announce").samples[: 4 * RATE]
    noise = np.random.default_rng(2).standard_normal(len(clean)).astype(np.float32) * 0.03
    heard = denoiser(clean + noise)
    assert len(heard) == len(clean)
    assert np.sum((heard - clean) ** 2) < 0.3 * np.sum(noise**2)


def test_any_length(denoiser: Denoiser) -> None:
    for length in (0, 1, 127, 512, 1000):
        assert len(denoiser(np.zeros(length, np.float32))) == length


async def test_the_local_engine_recognises_behind_it(denoiser: Denoiser, models_dir: Path) -> None:
    table, ready = catalogue.load(), asyncio.Event()
    engine = LocalEngine(threads=1, nice=10, changed=ready.set)
    speech, nets = (store.directory(models_dir, table.named(name)) for name in ("whisper-base", "dtln"))
    running = asyncio.create_task(engine.run(speech, (nets, 1.0)))
    await asyncio.wait_for(ready.wait(), 60)
    one = prompt("queue-periodic-announce")
    pcm = (one.samples * 32767).astype("<i2").tobytes()
    (heard,) = await engine.transcribe([ClipMessage(pcm=pcm, language="en")])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert word_errors(one.text, heard.text) <= 0.2 * len(words(one.text))


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    assert InferenceConfig(sink_socket=tmp_path, models_dir=tmp_path).denoise == 0
