"""A broadcast's end: its outputs are ended too, even if control and the sfu tell of the end at the same time."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from foundation.broadcasts import BroadcastOrders, OutputOrder
from objects.directory import DirectoryStore
from objects.threads import Objects
from recorder.broadcast.hls_output import HlsOutput
from recorder.broadcast.program import Program
from recorder.config import RecorderConfig
from sfu.api.sink_records import BroadcastStarted


async def test_an_end_that_is_told_twice_ends_the_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ending, forgotten = asyncio.Event(), []
    answers = [BroadcastOrders(held=True, outputs=[OutputOrder(id="o", kind="hls")]), BroadcastOrders(held=False)]

    async def report(program: Program) -> bool:
        program._orders = answers.pop(0)
        return program._orders.held

    async def compose(*_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.Event().wait()  # a process that takes a while to end

    async def forget(output: HlsOutput) -> None:
        forgotten.append(output.order.id)

    monkeypatch.setattr(Program, "_report", report)
    monkeypatch.setattr("recorder.broadcast.composer.Composer.run", compose)
    monkeypatch.setattr(HlsOutput, "forget", forget)
    config = RecorderConfig(sink_socket=tmp_path / "sink", recordings_dir=tmp_path)
    begun = BroadcastStarted(room="r", broadcast="b", placement=1)
    with ThreadPoolExecutor(1) as threads:
        objects = Objects(DirectoryStore(tmp_path), tmp_path, threads)
        async with aiohttp.ClientSession() as session:
            program = Program(
                config, begun, tmp_path / "sink", objects=objects, session=session, places=asyncio.Semaphore(1)
            )
            running = asyncio.create_task(program.run())
            await ending.wait()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await program.forget()
    assert forgotten == ["o"]
