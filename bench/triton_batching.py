"""Gain of dynamic batching on Triton: eight streams at once compared with one at a time, for each model."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import shared_memory

from bench.report import Report, progress
from inference.models import catalogue
from inference.speech.transcript import window_seconds
from inference.triton.build import Instance, build_repository
from tests.inference.conftest import fetched_models
from tests.inference.material import prompts
from tests.support.triton import triton_server

STREAMS = 8
_WINDOW = 160_000
Call = Callable[[int], Awaitable[Any]]


def _tensor(name: str, array: np.ndarray, kind: str) -> Any:
    value = triton.InferInput(name, list(array.shape), kind)
    value.set_data_from_numpy(array)
    return value


async def _shared(client: Any, name: str, array: np.ndarray) -> tuple[Any, Any]:
    """Put 12 MB of keys and values into shared memory for Triton, like within an ensemble; return (input, region)."""
    region = shared_memory.create_shared_memory_region(name, f"/parley-bench-{os.getpid()}-{name}", array.nbytes)
    shared_memory.set_shared_memory_region(region, [array])
    await client.register_system_shared_memory(name, f"/parley-bench-{os.getpid()}-{name}", array.nbytes)
    value = triton.InferInput("CROSS", list(array.shape), "FP32")
    value.set_shared_memory(name, array.nbytes)
    return value, region


def _clips() -> list[np.ndarray]:
    spoken = [one.samples for one in prompts(60) if window_seconds(len(one.samples)) == 10][:STREAMS]
    return [(np.clip(samples, -1, 1) * 32767).astype(np.int16) for samples in spoken]


def _padded(clip: np.ndarray) -> np.ndarray:
    return np.pad(clip, (0, _WINDOW - len(clip)))[None, :]


async def _rates(call: Call, rounds: int) -> tuple[float, float]:
    """Return clips per second one at a time, and with all streams at once, after a warm-up round of each."""
    await asyncio.gather(*(call(index) for index in range(STREAMS)))
    singly = together = 0.0
    for _ in range(rounds):  # alternately, so that both see the same load
        began = time.monotonic()
        for index in range(STREAMS):
            await call(index)
        middle = time.monotonic()
        await asyncio.gather(*(call(index) for index in range(STREAMS)))
        singly += middle - began
        together += time.monotonic() - middle
    return STREAMS * rounds / singly, STREAMS * rounds / together


async def _measure(url: str, rounds: int) -> dict[str, tuple[float, float]]:
    client = triton.InferenceServerClient(url)
    clips = _clips()
    options = np.frombuffer(b'{"language": "en"}', np.uint8)[None, :]
    sound = [_tensor("PCM", _padded(clip), "INT16") for clip in clips]
    lengths = [_tensor("SAMPLES", np.array([[len(clip)]], np.int32), "INT32") for clip in clips]
    asked = _tensor("OPTIONS", options, "UINT8")
    crosses, regions = [], []
    for number, one in enumerate(sound):
        answer = await client.infer("whisper_encoder", [one])
        tensor, region = await _shared(client, f"cross{number}", answer.as_numpy("CROSS"))
        crosses.append(tensor)
        regions.append(region)

    def infer(model: str, inputs: Sequence[Sequence[Any]]) -> Call:
        return lambda index: client.infer(model, list(inputs[index]))

    whole = list(zip(sound, lengths, [asked] * STREAMS, strict=True))
    decoder = list(zip(crosses, lengths, [asked] * STREAMS, strict=True))
    parts = [
        ("whole", infer("whisper", whole)),
        ("encoder", infer("whisper_encoder", [[one] for one in sound])),
        ("decoder", infer("whisper_decoder", decoder)),
    ]
    rates = {part: await _rates(call, rounds) for part, call in progress(parts, "batching")}
    await client.unregister_system_shared_memory()
    await client.close()
    for region in regions:
        shared_memory.destroy_shared_memory_region(region)
    return rates


def run(*, quick: bool) -> Report:
    """Measure five rounds of eight clips each way (one if quick)."""
    with tempfile.TemporaryDirectory() as scratch:
        repository = Path(scratch) / "repository"
        model = catalogue.load().named(catalogue.SPEECH_MODEL)
        build_repository(fetched_models(), model, repository, Instance())
        with triton_server(repository, Path(scratch) / "server") as server:
            rates = asyncio.run(_measure(server.grpc, 1 if quick else 5))
    report = Report()
    for part, (singly, together) in rates.items():
        case = f"Triton, {part}"
        report.add(case, "one by one", singly, "clips/s")
        report.add(case, f"{STREAMS} streams", together, "clips/s")
        bar = {"whole": 1.2, "decoder": 2.0}.get(part)
        if bar is None:
            report.add(case, "gain", together / singly, "x")
        else:
            report.at_least(case, "gain", together / singly, "x", bar)
    return report
