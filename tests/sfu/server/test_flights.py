"""Flight recorders over HTTP, on the command line, and in files after a failure."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from parley import flight_command
from sfu.api import signaling
from sfu.flight import dump as flight_dump
from sfu.flight.recorder import Kind
from sfu.peers.outbox import Failure
from sfu.server.flight_files import MAX_FILES, FlightFiles
from tests.sfu.server.harness import SECRET, client, host


async def test_a_live_rooms_last_minute_is_fetched_read_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARLEY_NODE_SECRET", SECRET)
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    file = tmp_path / "r.flight"
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        fetch = ["fetch", "r", "--node-url", h.http, "--out", str(file)]
        assert await asyncio.to_thread(flight_command.run, fetch) == 0
        assert await asyncio.to_thread(flight_command.run, ["fetch", "nobody", "--node-url", h.http]) == 1
    _, entries = flight_dump.read(file.read_bytes())
    assert Kind.SERVER_SAID in {entry.kind for entry in entries}
    assert flight_command.run(["show", str(file)]) == 0
    assert '"kind":"room-info"' in capsys.readouterr().out
    assert flight_command.run(["replay", str(file)]) == 0
    file.write_bytes(b"something else")
    assert flight_command.run(["show", str(file)]) == 1


async def test_nobody_reads_them_without_the_node_secret(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        async with aiohttp.ClientSession() as session, session.get(f"{h.http}/node/v1/rooms/r/flight") as answer:
            assert answer.status == 401


async def test_failures_are_kept_in_a_few_files_one_a_minute_for_each_room(tmp_path: Path) -> None:
    files = FlightFiles(tmp_path / "flights")
    writing = asyncio.create_task(files.run())
    files.put([Failure("../r/1", b"first", "lost"), Failure("../r/1", b"too soon", "lost")])
    async with asyncio.timeout(30):
        while not list((tmp_path / "flights").glob("*.flight")):
            await asyncio.sleep(0.01)
        for number in range(MAX_FILES + 3):
            files.put([Failure(f"room{number}", b"dump", "lost")])
            while not list((tmp_path / "flights").glob(f"room{number}-*.flight")):
                await asyncio.sleep(0.01)
    writing.cancel()
    kept = [file.name for file in (tmp_path / "flights").iterdir()]
    assert len(kept) == MAX_FILES
    assert not any("r_1" in name for name in kept)
