"""Files through control: 50 transfers of 100 MB at once in flat memory, and slow ones that nothing cuts off.

Half of the transfers are uploads, half downloads; beside them one of each goes at 1 MB/s. Every content's hash is
compared. Control's memory is read from the kernel while all of that runs.
"""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from bench.control_load import control, postgres, signed_in
from bench.report import Report

_PIECE = 256 * 1024
_BLOCK = bytes(range(256)) * 1024
MB = 1_000_000


def run(*, quick: bool) -> Report:
    """100 MB each (5 MB when quick)."""
    report = Report()
    size = 5 * MB if quick else 100 * MB
    outcome = asyncio.run(scenario(50, size, size))
    report.at_most(f"50 x {size // MB} MB", "memory that control took", outcome.grown / MB, "MB", 64)
    report.add(f"50 x {size // MB} MB", "throughput", outcome.bytes / outcome.seconds / MB, "MB/s")
    report.at_most(f"50 x {size // MB} MB, and slow ones", "contents that differ", outcome.differing, "", 0)
    return report


class Outcome:
    """What became of the transfers; `grown` is by how much control's memory grew at most."""

    def __init__(self) -> None:
        self.grown = 0
        self.bytes = 0
        self.seconds = 0.0
        self.differing = 0


async def scenario(count: int, size: int, slow_size: int) -> Outcome:
    """Make `count` transfers of `size` bytes at once, beside slow ones of `slow_size`."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="pt") as name, postgres(Path(name)) as cluster:
        async with control(cluster, Path(name)) as (pid, address):
            tokens = await signed_in(cluster.dsn, Path(name) / "data", count + 2)
            url = f"http://{address}/api/v1/media"
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
                file = await _upload(session, url, tokens[0], size, outcome=outcome)
                slow_file = await _upload(session, url, tokens[0], slow_size, outcome=outcome)
                await asyncio.gather(*(_upload(session, url, token, 1000, outcome=outcome) for token in tokens))
                before = _memory(pid)
                watching = asyncio.create_task(_watch(pid, before, outcome))
                begun = time.monotonic()
                slow = asyncio.gather(
                    _upload(session, url, tokens[-1], slow_size, outcome=outcome, rate=MB),
                    _download(session, url, tokens[0], slow_file, slow_size, outcome=outcome, rate=MB),
                )
                half = count // 2
                await asyncio.gather(
                    *(_upload(session, url, token, size, outcome=outcome) for token in tokens[1 : half + 1]),
                    *(_download(session, url, tokens[0], file, size, outcome=outcome) for _ in range(count - half)),
                )
                outcome.seconds = time.monotonic() - begun
                outcome.bytes = count * size
                await slow
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
    return outcome


def _content(size: int) -> str:
    digest = hashlib.sha256()
    for start in range(0, size, len(_BLOCK)):
        digest.update(_BLOCK[: size - start])
    return digest.hexdigest()


async def _upload(
    session: aiohttp.ClientSession, url: str, token: str, size: int, *, outcome: Outcome, rate: int = 0
) -> str:
    """Upload at `rate` bytes a second (0: as fast as it goes); returns the file's id."""

    async def pieces() -> AsyncIterator[bytes]:
        begun = time.monotonic()
        for start in range(0, size, len(_BLOCK)):
            if rate:
                await asyncio.sleep(max(0.0, begun + start / rate - time.monotonic()))
            yield _BLOCK[: size - start]

    headers = {"Authorization": f"Bearer {token}"}
    async with session.post(f"{url}/upload?name=x.bin", data=pieces(), headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        row = await answer.json()
    outcome.differing += row["sha256"] != _content(size) or row["bytes"] != size
    return str(row["id"])


async def _download(
    session: aiohttp.ClientSession, url: str, token: str, file: str, size: int, *, outcome: Outcome, rate: int = 0
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    digest, got, begun = hashlib.sha256(), 0, time.monotonic()
    async with session.get(f"{url}/download/{file}", headers=headers) as answer:
        assert answer.status == 200
        async for data in answer.content.iter_chunked(_PIECE):
            digest.update(data)
            got += len(data)
            if rate:
                await asyncio.sleep(max(0.0, begun + got / rate - time.monotonic()))
    outcome.differing += digest.hexdigest() != _content(size)


async def _watch(pid: int, before: int, outcome: Outcome) -> None:
    while True:
        outcome.grown = max(outcome.grown, _memory(pid) - before)
        await asyncio.sleep(0.1)


def _memory(pid: int) -> int:
    """Return a process's resident bytes that are its own: mapped files are the kernel's."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
