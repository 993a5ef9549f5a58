"""Files through control: 50 transfers of 100 MB at once in constant memory, and slow ones that must complete.

Half of the transfers are uploads, half downloads; beside them one of each runs at 1 MB/s, and one of each through nginx
as `parley nginx-config` configures it. The hash of every content is compared. Control's memory is sampled throughout.
"""

import asyncio
import contextlib
import datetime
import hashlib
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp

from bench.control_load import control, postgres, signed_in
from bench.report import Report, end_progress, show_progress
from parley import certificate, nginx_config
from parley.network import allocate_port
from parley.nginx_config import Gateway
from tests.support.gateway import nginx_process
from tests.support.waiting import accepts, until_up

_PIECE = 256 * 1024
_BLOCK = bytes(range(256)) * 1024
MB = 1_000_000
_SLOW = 4
"""Transfers at 1 MB/s: one in each direction, directly and through nginx."""


def run(*, quick: bool) -> Report:
    """Measure with files of 100 MB (5 MB if quick)."""
    report = Report()
    size = 5 * MB if quick else 100 * MB
    outcome = asyncio.run(scenario(50, size, size))
    case = f"50 x {size // MB} MB"
    report.at_most(case, "memory that control used", outcome.grown / MB, "MB", 64)
    report.at_most(case, "memory: median of the last third minus that of the second", outcome.slope / MB, "MB", 8)
    report.add(case, "throughput", outcome.bytes / outcome.seconds / MB, "MB/s")
    report.at_most(f"{case}, and slow ones, also by nginx", "wrong contents", outcome.differing, "", 0)
    return report


class Outcome:
    """Results of the transfers; `memory` is control's use above its start, every 100 ms, in bytes."""

    def __init__(self) -> None:
        self.memory: list[int] = []
        self.bytes = 0
        self.seconds = 0.0
        self.differing = 0
        self.done = 0

    @property
    def grown(self) -> int:
        return max(self.memory)

    @property
    def slope(self) -> float:
        """Return the growth of memory from the middle to the end, whatever the duration."""
        third = max(1, len(self.memory) // 3)
        return statistics.median(self.memory[-third:]) - statistics.median(self.memory[third : 2 * third] or [0])


async def scenario(count: int, size: int, slow_size: int) -> Outcome:
    """Run `count` transfers of `size` bytes at once, beside slow ones of `slow_size`."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="pt") as name, postgres(Path(name)) as cluster:
        async with control(cluster, Path(name)) as (pid, address), _nginx(Path(name), address) as (outside, trust):
            tokens = await signed_in(cluster.dsn, Path(name) / "data", count + 2)
            url = f"http://{address}/api/v1/media"
            connector = aiohttp.TCPConnector(limit=0, ssl=trust)
            async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
                file = await _upload(session, url, tokens[0], size, outcome=outcome)
                slow_file = await _upload(session, url, tokens[0], slow_size, outcome=outcome)
                await asyncio.gather(*(_upload(session, url, token, 1000, outcome=outcome) for token in tokens))
                before = _memory(pid)
                outcome.done = 0
                watching = asyncio.create_task(_watch(pid, before, outcome, count + _SLOW))
                begun = time.monotonic()
                slow = asyncio.gather(
                    *(
                        transfer
                        for where in (url, f"{outside}/api/v1/media")
                        for transfer in (
                            _upload(session, where, tokens[-1], slow_size, outcome=outcome, rate=MB),
                            _download(session, where, tokens[0], slow_file, slow_size, outcome=outcome, rate=MB),
                        )
                    )
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
                show_progress("transfers", 1.0, f"{outcome.done}/{count + _SLOW}")
                end_progress()
    return outcome


@contextlib.asynccontextmanager
async def _nginx(directory: Path, control_address: str) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Run nginx in front of control; return its address and control's settings for it."""
    http, https = allocate_port(), allocate_port()
    made = certificate.ensure(directory / "tls", ["localhost"], datetime.datetime.now(datetime.UTC))
    gateway = Gateway(
        control=(control_address,),
        internal="127.0.0.1:9",  # used only for signaling
        node_secret="x" * 32,
        state=directory,
        http=(f"127.0.0.1:{http}",),
        https=(f"127.0.0.1:{https}",),
        certificate=made.certificate,
        private_key=made.key,
        https_port_outside=https,
        workers="1",
    )
    configuration, log = directory / "nginx.conf", directory / "nginx.log"
    configuration.write_text(nginx_config.render(gateway, nginx_config.found()))
    with log.open("wb") as output, nginx_process(configuration, output.fileno()) as process:
        await asyncio.to_thread(until_up, process, partial(accepts, https), log)
        yield f"https://localhost:{https}", ssl.create_default_context(cafile=str(made.certificate))


def _content(size: int) -> str:
    digest = hashlib.sha256()
    for start in range(0, size, len(_BLOCK)):
        digest.update(_BLOCK[: size - start])
    return digest.hexdigest()


async def _upload(
    session: aiohttp.ClientSession, url: str, token: str, size: int, *, outcome: Outcome, rate: int = 0
) -> str:
    """Upload at `rate` bytes a second (0: as fast as possible); return the file's id."""

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
    outcome.done += 1
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
    outcome.done += 1


async def _watch(pid: int, before: int, outcome: Outcome, count: int) -> None:
    while True:
        show_progress("transfers", outcome.done / count, f"{outcome.done}/{count}")
        outcome.memory.append(_memory(pid) - before)
        await asyncio.sleep(0.1)


def _memory(pid: int) -> int:
    """Return a process's private resident bytes, without mapped files."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
