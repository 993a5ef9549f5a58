"""`parley backup` and `parley restore`: everything is restored, including newer files; changed backups are refused."""

import argparse
import asyncio
import base64
import io
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from control.config import ControlConfig
from foundation.settings import Settings, resolve
from objects.recording_keys import OperatorKeys, fingerprint
from objects.sealed_file import files_of
from parley import backup_command, restore_command
from parley.database_dump import running
from parley.part_configs import embedded_postgres
from recorder.manifest import VERSION, Manifest, ManifestFile, ManifestTrack, encode_manifest
from tests.control.harness import PASSWORD, People, serving

TEXT = b"text" * 700_000  # several chunks
KEY = "a key of sixteen or more"


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


async def run(command: str, settings: Settings, target: Path | str, **flags: object) -> int:
    """Run a verb as the command line does."""
    verb = {"backup": backup_command, "restore": restore_command}[command].run
    chosen = argparse.Namespace(target=str(target), keep=None, name=None, verify=False)
    vars(chosen).update(flags)
    return await asyncio.to_thread(verb, settings, chosen)


async def test_everything_comes_back(config: ControlConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, target = tmp_path / "home", tmp_path / "target"
    served = replace(config, data_dir=home / "control", recordings_dir=home / "recordings")
    own = {"PARLEY_DATA_DIR": str(home), "PARLEY_DATABASE_URL": config.database_dsn, "PARLEY_BACKUP_KEY": KEY}
    async with serving(served) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")
        meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Kept"}))["id"]
        participant = (await ada.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"]
        url = f"{server.url}/api/v1/media/upload?name=a.txt"
        async with session.post(url, data=io.BytesIO(TEXT), headers=ada.headers) as answer:
            file = (await answer.json())["id"]
        connection = await asyncpg.connect(config.database_dsn)
        await connection.execute(
            "INSERT INTO signaling_messages (meeting_id, message, participant_id, name, text, sent_at)"
            " VALUES ($1, 'm', $2, 'Ada', 'written', now())", meeting, participant
        )  # fmt: skip
        await connection.close()
        record(served.recordings_dir, "newer-than-the-dump", meeting)  # the database does not know it
        (served.recordings_dir / "locked").mkdir()
        files = files_of(served.recordings_dir / "locked", OperatorKeys([bytes(32)], encrypts=True), is_new=True)
        (served.recordings_dir / "locked" / "manifest.json").write_bytes(files.sealed(b"{}"))
        for old in ("parley-20200101-000000/index", "parley-20210101-000000/header.json"):  # complete, given up
            (target / old).parent.mkdir(parents=True)
            (target / old).write_bytes(b"")
        own["PARLEY_RECORDINGS_KEYS"] = base64.b64encode(bytes(32)).decode()
        assert await run("backup", resolve({}, own), target, keep=1) == 0
        assert f"not included: recordings_keys ({fingerprint(bytes(32))})" in capsys.readouterr().out
    new, there = tmp_path / "new", {"PARLEY_RUNTIME_DIR": str(tmp_path / "run"), "PARLEY_BACKUP_KEY": KEY}
    there["PARLEY_DATA_DIR"] = str(new)
    await refuses_what_is_wrong(target, there, own, capsys)

    assert await run("restore", resolve({}, there), target) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "newer-than-the-dump  ready" in told
    assert f"locked is encrypted; it needs the operator's key {fingerprint(bytes(32))}" in told
    assert f"need keys that are not in recordings_keys: {fingerprint(bytes(32))}" in told
    assert await run("restore", resolve({}, there), target) == 1  # it exists by now
    assert "restore where nothing is" in capsys.readouterr().err
    cluster = embedded_postgres(resolve({}, there))
    restored = replace(
        config, database_dsn=cluster.dsn, data_dir=new / "control", recordings_dir=new / "recordings", embedded=False
    )
    with running(cluster):
        async with serving(restored) as server, aiohttp.ClientSession() as session:
            people = People(session, server)
            body = {"username": "ada", "password": PASSWORD, "mode": "token"}
            again = people.bearer((await people.nobody().ok("POST", "/api/v1/auth/login", body))["access_token"])
            assert [one["title"] for one in (await again.ok("GET", "/api/v1/meetings"))["meetings"]] == ["Kept"]
            messages = (await again.ok("GET", f"/api/v1/meetings/{meeting}/messages"))["messages"]
            assert [one["text"] for one in messages] == ["written"]
            assert await again.ok("GET", f"/api/v1/media/download/{file}") == TEXT
            assert await again.ok("GET", "/api/v1/recordings/newer-than-the-dump/files/t.webm") == b"webm"
            old = people.bearer(ada.headers["Authorization"].removeprefix("Bearer "))
            assert (await old.ok("GET", "/api/v1/users/profile"))["username"] == "ada"  # the keys came along


async def refuses_what_is_wrong(
    target: Path, there: dict[str, str], own: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that is refused leaves no installation behind, and the good backup is still good afterwards."""

    async def refused(settings: dict[str, str], said: str, **flags: object) -> None:
        assert await run("restore", resolve({}, settings), target, **flags) == 1
        assert said in capsys.readouterr().err
        left = [path for path in Path(there["PARLEY_DATA_DIR"]).rglob("*") if path.is_file()]
        assert [path.name for path in left] in ([], ["parley.lock"])

    await refused(there | {"PARLEY_BACKUP_KEY": KEY.upper()}, "the key is wrong")
    await refused(there, "there is no backup", name="parley-20000101-000000")
    await refused(own, "restore where nothing is")
    (backup,) = target.iterdir()
    largest = max(backup.iterdir(), key=lambda path: path.stat().st_size)
    for number, mended in enumerate((largest, backup / "header.json")):
        kept = mended.read_bytes()
        spoilt = bytearray(kept)
        if number == 0:
            spoilt[len(spoilt) // 2] ^= 1
        else:
            spoilt[:] = kept.replace(b'"format":1', b'"format":9')
        mended.write_bytes(spoilt)
        await refused(there, "was changed" if number == 0 else "has format 9")
        await refused(there, "was changed" if number == 0 else "has format 9", verify=True)
        mended.write_bytes(kept)
    (backup / "index").rename(backup / "not-yet")
    await refused(there, "has no complete backup")
    (backup / "not-yet").rename(backup / "index")
    assert await run("restore", resolve({}, there), target, verify=True) == 0
