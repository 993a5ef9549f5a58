"""Opus RTP over a real SEQPACKET socket in, captions out: everything of inference but the sfu and control."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp.web
import numpy as np
import pytest

from inference.config import InferenceConfig
from inference.main import MISSING, Inference
from sfu.api.facts import CaptionFinal, FactBatch, decode_batch
from sfu.api.sink_records import CaptionRecord, SinkHello
from tests.inference.material import Sfu, opus_packets, prompt, silence, track_opened, word_errors, words
from tests.support.processes import children_running
from tests.support.waiting import eventually

SECRET = "node-secret-of-this-test"


class Control:
    """Accepts facts like control; the first response is lost, so the batch must be sent again."""

    def __init__(self) -> None:
        self.batches: list[FactBatch] = []
        self.authorizations: set[str | None] = set()

    async def facts(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self.authorizations.add(request.headers.get("Authorization"))
        batch = decode_batch(await request.read())
        self.batches.append(batch)
        if len(self.batches) == 1:
            return aiohttp.web.Response(status=503)
        return aiohttp.web.json_response({"acknowledged": batch.n})

    @property
    def captions(self) -> list[CaptionFinal]:
        return [fact for batch in self.batches[1:] for fact in batch.facts if isinstance(fact, CaptionFinal)]


@pytest.fixture
async def control() -> AsyncIterator[tuple[Control, str]]:
    received = Control()
    application = aiohttp.web.Application()
    application.router.add_post("/internal/v1/facts", received.facts)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield received, f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.fixture
async def sfu(tmp_path: Path) -> AsyncIterator[Sfu]:
    end = Sfu.listen(tmp_path / "sinks.sock")
    task = asyncio.create_task(end.serve())
    yield end
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    end.close()


@contextlib.asynccontextmanager
async def running(config: InferenceConfig) -> AsyncIterator[Inference]:
    inference = Inference(config)
    ready = asyncio.Event()
    task = asyncio.create_task(inference.run(ready.set))
    await asyncio.wait_for(ready.wait(), 30)
    try:
        yield inference
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def config(sfu: Sfu, models_dir: Path, **fields: object) -> InferenceConfig:
    return InferenceConfig(sink_socket=sfu.path, models_dir=models_dir, **fields)


async def captioning(sfu: Sfu) -> None:
    await sfu.until(lambda: sfu.available is not None and sfu.available.available, 120)


async def test_spoken_words_become_captions_and_facts(sfu: Sfu, models_dir: Path, control: tuple[Control, str]) -> None:
    received, url = control
    spoken = prompt("queue-periodic-announce")
    sound = np.concatenate((silence(1), spoken.samples, silence(2)))
    packets = opus_packets(sound)
    async with running(config(sfu, models_dir, control_url=url, node_secret=SECRET)):
        await captioning(sfu)
        assert sfu.said(SinkHello) == [SinkHello(sink="inference", instance="inference-1")]
        opened = track_opened(opened_at=time.monotonic_ns() - 5_000_000_000)
        await sfu.send(opened)
        await sfu.play(1, packets)
        await sfu.until(lambda: sum(len(words(final.text)) for final in sfu.finals) >= 20)
        await eventually(lambda: received.captions, 60)
    text = " ".join(final.text for final in sfu.finals)
    assert word_errors(spoken.text, text) <= 2, text
    first, last = sfu.finals[0], sfu.finals[-1]
    assert 5_600 <= first.start_ms <= 6_400  # a second of silence, less the lead, on a clock that ran for five
    length_ms = len(spoken.samples) // 16
    assert 6_000 + length_ms - 1_500 <= last.end_ms <= 6_000 + length_ms + 500
    assert {final.lang for final in sfu.finals} == {"en"}
    partials = [caption for caption in sfu.said(CaptionRecord) if not caption.final]
    assert partials, "no partial result before the final"
    for utterance in {caption.utterance for caption in sfu.said(CaptionRecord)}:
        revisions = [caption.rev for caption in sfu.said(CaptionRecord) if caption.utterance == utterance]
        assert revisions == list(range(1, len(revisions) + 1))
    assert received.authorizations == {f"Bearer {SECRET}"}
    assert received.batches[0].n == received.batches[1].n == 1  # repeated after the lost answer
    assert " ".join(fact.text for fact in received.captions) == text
    assert all("".join(word.text for word in fact.words) == fact.text for fact in received.captions)


async def test_models_that_appear_are_used_without_a_restart(sfu: Sfu, models_dir: Path, tmp_path: Path) -> None:
    empty = tmp_path / "models"
    empty.mkdir()
    spoken = prompt("pbx-invalidpark")
    async with running(config(sfu, empty)):
        await sfu.until(lambda: sfu.available is not None)
        assert sfu.available is not None
        assert (sfu.available.available, sfu.available.reason) == (False, MISSING)
        await sfu.send(track_opened())  # before there is anyone to decode it
        for name in ("silero-vad", "whisper-base"):
            (empty / name).symlink_to(models_dir / name)
        await captioning(sfu)
        await sfu.play(1, opus_packets(np.concatenate((spoken.samples, silence(1.5)))), speed=2)
        await sfu.until(lambda: bool(sfu.finals))
    assert word_errors(spoken.text, " ".join(final.text for final in sfu.finals)) <= 2


async def test_killed_workers_are_started_again(sfu: Sfu, models_dir: Path) -> None:
    spoken = prompt("pbx-invalidpark")
    packets = opus_packets(np.concatenate((spoken.samples, silence(1.5))))
    async with running(config(sfu, models_dir)):
        await captioning(sfu)
        await sfu.send(track_opened())
        for module in ("inference.decode_worker", "inference.recogniser_worker"):
            (pid,) = children_running(module)
            said = len(sfu.records)
            os.kill(pid, signal.SIGKILL)
            await sfu.until(lambda said=said: any(getattr(r, "available", True) is False for r in sfu.records[said:]))
            await captioning(sfu)
        await sfu.play(1, packets, speed=2)
        await sfu.until(lambda: bool(sfu.finals))
    assert word_errors(spoken.text, " ".join(final.text for final in sfu.finals)) <= 2


async def test_consent_taken_back_mid_sentence_leaves_no_words(sfu: Sfu, models_dir: Path) -> None:
    spoken = prompt("queue-periodic-announce")
    packets = opus_packets(spoken.samples)
    async with running(config(sfu, models_dir)):
        await captioning(sfu)
        await sfu.send(track_opened(1))
        await sfu.play(1, packets[: len(packets) // 3])
        await sfu.close_track(1, "consent")
        await sfu.send(track_opened(2))
        await sfu.play(2, opus_packets(np.concatenate((prompt("pbx-invalidpark").samples, silence(1.5)))), speed=2)
        await sfu.until(lambda: any(final.participant == "p2" for final in sfu.finals))
    assert [final.text for final in sfu.finals if final.participant == "p1" and final.text] == []


async def test_a_new_sfu_is_found(tmp_path: Path, models_dir: Path) -> None:
    path = tmp_path / "sinks.sock"
    first = Sfu.listen(path)
    serving = asyncio.create_task(first.serve())
    async with running(InferenceConfig(sink_socket=path, models_dir=models_dir)):
        await first.until(lambda: bool(first.said(SinkHello)))
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        first.close()
        path.unlink()
        second = Sfu.listen(path)
        serving = asyncio.create_task(second.serve())
        await second.until(lambda: bool(second.said(SinkHello)), 20)
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    second.close()
