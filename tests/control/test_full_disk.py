"""A disk that fills up: files stop first, meetings continue, and errors and readiness report it."""

import asyncio
import contextlib
import http.client
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from control.config import ControlConfig
from tests.control.harness import Client, People, serving
from tests.control.restartable import RestartableServer

MB = 1024 * 1024


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of a few megabytes, by a path that is short enough for PostgreSQL's socket."""
    directory = Path(tempfile.mkdtemp(prefix="pd"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", directory], check=False)
    if mounted.returncode != 0:
        directory.rmdir()
        pytest.skip("no file system can be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
        directory.rmdir()


def fill(directory: Path) -> Path:
    """Use up all that is left of a disk."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


async def upload(client: Client, size: int) -> tuple[int, dict[str, Any]]:
    """Upload zeros, with a client that reads the response even if it could not send everything."""

    def post() -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(client.server.addresses.http[0], timeout=30)
        connection.putrequest("POST", "/api/v1/media/upload?name=a.bin")
        for name, value in {**client.headers, "Content-Length": str(size)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        with contextlib.suppress(ConnectionError):
            connection.send(bytes(size))
        with contextlib.closing(connection), connection.getresponse() as answer:
            return answer.status, json.loads(answer.read())

    return await asyncio.to_thread(post)


async def test_uploads_leave_a_reserve_and_are_refused_with_the_reason(config: ControlConfig) -> None:
    with small_disk(40) as disk:
        async with serving(replace(config, media_dir=disk / "media")) as server, aiohttp.ClientSession() as session:
            ada = await People(session, server).user("ada")
            answers = [await upload(ada, 5 * MB) for _ in range(9)]
            assert [status for status, _ in answers] == [201] * 7 + [507] * 2
            assert answers[-1][1]["code"] == "no_space"
            assert shutil.disk_usage(disk).free >= 4 * MB
            filler = fill(disk)
            status, health = await ada.call("GET", "/health/ready")
            assert (status, health["status"], list(health["down"])) == (200, "degraded", ["files"])
            assert (await upload(ada, 1))[0] == 507
            filler.unlink()
            assert (await upload(ada, 1))[0] == 201
            assert len((await ada.ok("GET", "/api/v1/media"))["files"]) == 8
            assert not [*(disk / "media" / ".spool").iterdir()]


async def test_what_the_database_has_no_room_for_is_told_and_works_again_later(config: ControlConfig) -> None:
    with small_disk(160) as disk:
        database = RestartableServer(disk)
        database.start()
        try:
            changed = replace(config, database_dsn=database.cluster.dsn)
            async with serving(changed) as server, aiohttp.ClientSession() as session:
                host = await People(session, server).user("ada")
                filler = fill(disk)
                refused = 0, {}
                for _ in range(500):
                    refused = await host.call("POST", "/api/v1/meetings", {"title": "x" * 100})
                    if refused[0] != 201:
                        break
                assert (refused[0], refused[1].get("code")) == (507, "no_space")
                filler.unlink()
                await host.ok("POST", "/api/v1/meetings", {})
        finally:
            database.stop()
            database.close()
