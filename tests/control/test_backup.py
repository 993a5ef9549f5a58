"""A restore by the documentation of backups: the dump, the copy, and recordings made after the dump."""

import argparse
import asyncio
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from control.config import ControlConfig
from foundation.settings import resolve
from parley.embedded_postgres import EmbeddedPostgres
from parley.recording_command import main as rescan
from recorder.manifest import VERSION, Manifest, ManifestFile, ManifestTrack, encode_manifest
from tests.control.harness import PASSWORD, People, serving


def record(root: Path, recording: str, meeting: str) -> None:
    """Lay a finished recording out."""
    (root / recording).mkdir(parents=True)
    (root / recording / "t.webm").write_bytes(b"webm")
    file = ManifestFile(key=f"{recording}/t.webm", codec="vp8", start_ms=0, duration_ms=9, bytes=4, sha256="", frames=1)
    track = ManifestTrack(
        track="t", participant="p", name="Ada", source="camera", media="video", codec="vp8", start_ms=0, duration_ms=9,
        files=[file], segments=[],
    )  # fmt: skip
    manifest = Manifest(
        version=VERSION, recording=recording, room=meeting, state="ready", started_unix_ms=1_700_000_000_000,
        ended_unix_ms=1_700_000_009_000, duration_ms=9, bytes=4, instance="recorder-1", tracks=[track],
    )  # fmt: skip
    (root / recording / "manifest.json").write_bytes(encode_manifest(manifest))


async def test_a_restore(
    config: ControlConfig, postgres: EmbeddedPostgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump, copy = tmp_path / "dump", tmp_path / "copy"
    async with serving(config) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")
        meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Kept"}))["id"]
        url = f"{server.url}/api/v1/media/upload?name=a.txt"
        async with session.post(url, data=b"text", headers=ada.headers) as answer:
            file = (await answer.json())["id"]
        record(config.recordings_dir, "before", meeting)
        await run(postgres, "pg_dump", "--format=custom", f"--file={dump}", "parley")
        record(config.recordings_dir, "after", meeting)
        await asyncio.to_thread(shutil.copytree, config.recordings_dir, copy / "recordings")
        await asyncio.to_thread(shutil.copytree, config.data_dir, copy / "data")
    connection = await asyncpg.connect(config.database_dsn)
    await connection.execute("DROP DATABASE IF EXISTS restored")
    await connection.execute("CREATE DATABASE restored")
    await connection.close()
    await run(postgres, "pg_restore", "--dbname=restored", "--no-owner", str(dump))
    dsn = config.database_dsn.replace("/parley?", "/restored?")
    settings = resolve({}, {"PARLEY_DATABASE_URL": dsn, "PARLEY_RECORDINGS_DIR": str(copy / "recordings")})
    assert await asyncio.to_thread(rescan, settings, argparse.Namespace()) == 0
    assert "after" in capsys.readouterr().out
    restored = replace(
        config, database_dsn=dsn, data_dir=copy / "data", recordings_dir=copy / "recordings", embedded=False
    )
    async with serving(restored) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        body = {"username": "ada", "password": PASSWORD, "mode": "token"}
        again = people.bearer((await people.nobody().ok("POST", "/api/v1/auth/login", body))["access_token"])
        assert [one["title"] for one in (await again.ok("GET", "/api/v1/meetings"))["meetings"]] == ["Kept"]
        assert await again.ok("GET", f"/api/v1/media/download/{file}") == b"text"
        listed = (await again.ok("GET", "/api/v1/recordings"))["recordings"]
        assert sorted(one["id"] for one in listed) == ["after", "before"]
        assert await again.ok("GET", "/api/v1/recordings/after/files/t.webm") == b"webm"
        old = people.bearer(ada.headers["Authorization"].removeprefix("Bearer "))
        assert (await old.ok("GET", "/api/v1/users/profile"))["username"] == "ada"  # the keys came along


async def run(postgres: EmbeddedPostgres, tool: str, *arguments: str) -> None:
    command = postgres.tool(tool, *arguments)
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
