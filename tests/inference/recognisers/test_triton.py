"""Speech recognition by a real Triton: the same words as locally, and behaviour when it is slow, dead or wrong."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.breaker import THRESHOLD, Breaker
from inference.config import InferenceConfig
from inference.main import WITHOUT_TRITON, Inference
from inference.messages import ClipMessage
from inference.model_error import ModelError
from inference.models import catalogue, store
from inference.recognisers.triton import TritonRecogniser
from inference.speech.transcript import window_seconds
from inference.speech.whisper import Clip, WhisperModel
from parley import models_command
from sfu.api.sink_records import CaptionsAvailable
from tests.inference.material import Prompt, Sfu, opus_packets, prompt, prompts, silence, track_opened, word_errors
from tests.support.triton import TritonServer, triton_server
from tests.support.waiting import eventually

SECOND = 1_000_000_000
PATIENCE_SECONDS = 120.0  # however busy the machine is


@pytest.fixture(scope="module")
def repository(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("triton") / "repository"
    assert models_command.run(["build", "--models-dir", str(models_dir), "--triton", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with triton_server(repository, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def identity(models_dir: Path) -> str:
    return store.identity(store.directory(models_dir, catalogue.load().named("whisper-base")))


@contextlib.asynccontextmanager
async def connected(urls: list[str], identity: str) -> AsyncIterator[TritonRecogniser]:
    changed = asyncio.Event()
    recogniser = TritonRecogniser(urls, identity, changed=changed.set, timeout=PATIENCE_SECONDS)
    task = asyncio.create_task(recogniser.run())
    try:
        async with asyncio.timeout(60):
            while recogniser.model is None:
                changed.clear()
                await changed.wait()
        yield recogniser
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def short(count: int) -> list[Prompt]:
    return [one for one in prompts(60) if window_seconds(len(one.samples)) == 10][:count]


def message(one: Prompt, **fields: object) -> ClipMessage:
    return ClipMessage(pcm=(np.clip(one.samples, -1, 1) * 32767).astype("<i2").tobytes(), **fields)


def quantised(one: Prompt) -> Clip:
    return Clip((np.clip(one.samples, -1, 1) * 32767).astype("<i2").astype(np.float32) / np.float32(32768))


async def test_the_same_words_as_the_local_recogniser(
    server: TritonServer, identity: str, whisper: WhisperModel
) -> None:
    spoken = [*short(8), *(one for one in prompts(30) if window_seconds(len(one.samples)) == 15)]
    async with connected([server.grpc], identity) as recogniser:
        heard = []
        for start in range(0, len(spoken), recogniser.max_batch):
            heard += await recogniser.transcribe([message(one) for one in spoken[start : start + recogniser.max_batch]])
    local = [whisper.transcribe([quantised(one)])[0] for one in spoken]
    assert [one.text for one in heard] == [one.text for one in local]
    assert [one.tokens for one in heard] == [one.tokens for one in local]
    # Batches of other sizes add up in another order, which some processors show in the third decimal of how sure it is.
    assert [one.logprob for one in heard] == pytest.approx([one.logprob for one in local], abs=5e-3)


async def test_language_and_prior_reach_the_model(server: TritonServer, identity: str) -> None:
    (one,) = short(1)
    async with connected([server.grpc], identity) as recogniser:
        (given,) = await recogniser.transcribe([message(one, language="es")])
        (weighed,) = await recogniser.transcribe([message(one, prior={"es": 1.0, "": 1e-9})])
        with pytest.raises(ModelError, match="no language 'xx'"):
            await recogniser.transcribe([message(one, language="xx")])
        # one bad request does not spoil the others of its batch
        results = await asyncio.gather(
            *(recogniser.transcribe([message(one, language=code)]) for code in ("en", "xx", "en")),
            return_exceptions=True,
        )
    assert (given.language, weighed.language) == ("es", "es")
    assert [isinstance(result, ModelError) for result in results] == [False, True, False]


async def test_another_model_is_not_used(server: TritonServer) -> None:
    recogniser = TritonRecogniser([server.grpc], "whisper-base-1.0.0+00000000", changed=lambda: None)
    task = asyncio.create_task(recogniser.run())
    await asyncio.sleep(1)  # longer than the first check takes
    assert recogniser.model is None
    with pytest.raises(ModelError, match="no Triton endpoint is healthy"):
        await recogniser.transcribe([message(short(1)[0])])
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_frozen_endpoint_is_hedged_then_avoided(
    server: TritonServer, repository: Path, identity: str, tmp_path: Path
) -> None:
    spoken = short(4)
    with triton_server(repository, tmp_path / "second") as second:
        async with connected([server.grpc, second.grpc], identity) as recogniser:
            await eventually(lambda: sum(endpoint.healthy for endpoint in recogniser._endpoints) >= 2, 60)
            os.kill(second.process.pid, signal.SIGSTOP)
            try:
                began = asyncio.get_running_loop().time()
                heard = await recogniser.transcribe([message(one) for one in spoken])
                took = asyncio.get_running_loop().time() - began
                assert all(word_errors(one.text, text.text) <= 2 for one, text in zip(spoken, heard, strict=True))
                assert took < PATIENCE_SECONDS, took  # the frozen one alone gives nothing, however long one waits
                await eventually(lambda: not recogniser._usable(recogniser._endpoints[1]), 60)
            finally:
                os.kill(second.process.pid, signal.SIGCONT)
            await eventually(lambda: recogniser._usable(recogniser._endpoints[1]), 90)


@contextlib.asynccontextmanager
async def captioned(sfu: Sfu, config: InferenceConfig) -> AsyncIterator[Inference]:
    """Inference that has captions to give to `sfu`."""
    serving = asyncio.create_task(sfu.serve())
    inference = Inference(config)
    running = asyncio.create_task(inference.run(lambda: None))
    try:
        await sfu.until(lambda: sfu.available is not None and sfu.available.available)
        yield inference
    finally:
        for task in (running, serving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        sfu.close()


async def recognised(sfu: Sfu, handle: int, spoken: Prompt) -> None:
    """Play `spoken` as participant `p{handle}`, and wait until its caption holds the words."""
    packets = opus_packets(np.concatenate((spoken.samples, silence(1.5))))
    await sfu.send(track_opened(handle))
    await sfu.play(handle, packets, speed=2)
    await sfu.until(lambda: any(final.participant == f"p{handle}" for final in sfu.finals))
    text = " ".join(final.text for final in sfu.finals if final.participant == f"p{handle}")
    assert word_errors(spoken.text, text) <= 2, text


async def test_captions_go_on_without_triton_and_return_to_it(
    repository: Path, models_dir: Path, tmp_path: Path
) -> None:
    sfu, spoken = Sfu.listen(tmp_path / "sinks.sock"), prompt("pbx-invalidpark")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(triton_server(repository, tmp_path / "first"))
        config = InferenceConfig(sink_socket=sfu.path, models_dir=models_dir, triton_urls=(first.grpc,))
        async with captioned(sfu, config) as inference:

            def by_triton() -> bool:
                return inference.recogniser.max_batch == TritonRecogniser.max_batch

            await eventually(by_triton, 90)
            await recognised(sfu, 1, spoken)
            first.process.kill()
            await recognised(sfu, 2, spoken)
            await sfu.until(
                lambda: sfu.available == CaptionsAvailable(available=True, reason=WITHOUT_TRITON, code="late")
            )
            assert not by_triton()
            first.process.wait()
            stack.enter_context(triton_server(repository, tmp_path / "again", first.grpc))
            await sfu.until(lambda: sfu.available == CaptionsAvailable(available=True, reason=None))
            assert by_triton()
            await recognised(sfu, 3, spoken)


def test_the_breaker_opens_and_tries_again() -> None:
    breaker = Breaker()
    for _ in range(THRESHOLD):
        assert breaker.allows(0)
        breaker.failed(0)
    assert breaker.open
    assert not breaker.allows(SECOND)
    assert breaker.allows(2 * SECOND)
    assert not breaker.allows(2 * SECOND)  # one trial
    breaker.failed(3 * SECOND)
    assert not breaker.allows(6 * SECOND)  # the pause has doubled
    assert breaker.allows(7 * SECOND)
    breaker.succeeded()
    assert not breaker.open
    breaker.trip(8 * SECOND)
    assert breaker.open
