"""Latency of captions while four people talk over each other for five minutes, with both workers on one core."""

import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.report import Report, passing
from inference.config import InferenceConfig
from inference.main import Inference
from sfu.api.sink_records import CaptionRecord
from tests.inference.conftest import fetched_models
from tests.inference.material import Sfu, opus_packets, prompts, silence, track_opened
from tests.support.cpu_time import cpu_seconds

SPEAKERS = 4
_LAST_SECONDS = 4
"""Time in seconds for the last captions to arrive."""


def speech_of(speaker: int, seconds: float) -> np.ndarray:
    """Return a speaker's prompts in random order with natural pauses, for the given number of seconds."""
    order = np.random.default_rng(speaker)
    spoken = [one for one in prompts(60) if len(one.samples) < 12 * 16_000]
    parts: list[np.ndarray] = []
    length = 0.0
    while length < seconds:
        pause = silence(float(order.uniform(0.8, 2.0)))
        parts += [spoken[order.integers(len(spoken))].samples, pause]
        length = sum(map(len, parts)) / 16_000
    return np.concatenate(parts)


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share)) if values else float("nan")


async def _talk(sfu: Sfu, seconds: float) -> int:
    """Let all speak; return the zero of the meeting clock."""
    zero = time.monotonic_ns()
    opened = [track_opened(handle, opened_at=zero) for handle in range(1, SPEAKERS + 1)]
    for track in opened:
        await sfu.send(track)
    packets = [opus_packets(speech_of(track.handle, seconds)) for track in opened]
    await asyncio.gather(*(sfu.play(track.handle, one) for track, one in zip(opened, packets, strict=True)))
    await asyncio.sleep(_LAST_SECONDS)
    return zero


async def _measure(seconds: float) -> tuple[list[float], list[float], float]:
    with tempfile.TemporaryDirectory() as scratch:
        sfu = Sfu.listen(Path(scratch) / "sinks.sock")
        serving = asyncio.create_task(sfu.serve())
        inference = Inference(InferenceConfig(sink_socket=sfu.path, models_dir=fetched_models()))
        running = asyncio.create_task(inference.run(lambda: None))
        await sfu.until(lambda: sfu.available is not None and sfu.available.available)
        workers = [pid for pid in (inference.decoder_pid, inference.recogniser_pid) if pid is not None]
        for pid in workers:
            _hold_to_one_core(pid)
        before = sum(cpu_seconds(Path(f"/proc/{pid}")) for pid in workers)
        with passing("speaking", seconds + _LAST_SECONDS):
            zero = await _talk(sfu, seconds)
        used = sum(cpu_seconds(Path(f"/proc/{pid}")) for pid in workers) - before
        for task in (running, serving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        sfu.close()
    late: dict[bool, list[float]] = {True: [], False: []}
    for caption, at in zip(sfu.records, sfu.arrivals, strict=True):
        if isinstance(caption, CaptionRecord):
            late[caption.final].append((at - zero) / 1e9 - caption.end_ms / 1000)
    return late[True], late[False], used / seconds


def _hold_to_one_core(pid: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {max(os.sched_getaffinity(0))})


def run(*, quick: bool, minutes: float | None = None) -> Report:
    """Return latencies from the end of speech, as detected by voice activity, to the caption's arrival in the sfu."""
    report = Report()
    seconds = 25 if quick else 60 * (minutes or 5)
    finals, partials, load = asyncio.run(_measure(seconds))
    case = f"{SPEAKERS} speakers"
    report.at_most(case, "finals p95", percentile(finals, 95), "s", 2.0)
    report.add(case, "finals p50", percentile(finals, 50), "s")
    report.at_most(case, "partials p50", percentile(partials, 50), "s", 1.5)
    report.add(case, "finals", len(finals), "")
    report.add(case, "partials per final", len(partials) / max(len(finals), 1), "")
    report.add(case, "CPU of both workers", load, "cores")
    report.add(case, "speech", seconds / 60, "min")
    return report
