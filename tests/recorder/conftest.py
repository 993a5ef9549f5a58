"""A recorder attached to the test's own sink server."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorder.config import RecorderConfig
from recorder.main import run
from recorder.manifest import Manifest, read_manifest
from tests.recorder.sink_server import SinkServer


@dataclass
class Attached:
    """A running recorder and the sfu's end of its socket."""

    config: RecorderConfig
    sfu: SinkServer

    async def manifest(self, recording: str = "rec1", seconds: float = 30) -> Manifest:
        """Wait until the recording is finished."""
        return await wait_for_manifest(self.config.recordings_dir / recording, seconds)


async def wait_for_manifest(directory: Path, seconds: float = 30) -> Manifest:
    """Poll for a recording's commit, since files cannot announce themselves."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if directory.exists() and (manifest := read_manifest(directory)) is not None:
            return manifest
        await asyncio.sleep(0.02)
    raise AssertionError(f"no manifest in {directory}: {sorted(str(p) for p in directory.rglob('*'))}")


@contextlib.asynccontextmanager
async def running(config: RecorderConfig) -> AsyncIterator[None]:
    """Run a recorder in this process."""
    ready = asyncio.Event()
    task = asyncio.create_task(run(config, ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def config(tmp_path: Path) -> RecorderConfig:
    return RecorderConfig(sink_socket=tmp_path / "sinks", recordings_dir=tmp_path / "recordings", sync_ms=20)


@pytest.fixture
async def attached(config: RecorderConfig) -> AsyncIterator[Attached]:
    async with SinkServer(config.sink_socket) as sfu, running(config):
        await sfu.attached()
        yield Attached(config, sfu)


Json = dict[str, object]
FactSink = Callable[[bytes], Awaitable[Json]]


def parse(data: bytes) -> Json:
    result: Json = json.loads(data)
    return result
