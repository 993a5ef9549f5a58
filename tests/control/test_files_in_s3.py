"""Uploaded files and recordings with objects in a real S3 server."""

import asyncio
import hashlib
import io
import secrets
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio

from control.config import ControlConfig
from objects.s3 import S3Store
from tests.control.harness import People, serving
from tests.control.test_media import picture, upload
from tests.control.test_recordings import DATA, recorded
from tests.support.object_stores import S3Server


@pytest.fixture
def config(config: ControlConfig, s3: S3Server) -> ControlConfig:
    return replace(config, s3=replace(s3.config, bucket=f"test-{secrets.token_hex(6)}"))


@pytest_asyncio.fixture
async def people(config: ControlConfig) -> AsyncIterator[People]:
    async with (
        serving(config) as running,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield People(session, running)


def stored(config: ControlConfig, prefix: str) -> list[str]:
    assert config.s3 is not None
    return [found.key for found in S3Store(config.s3, prefix).list()]


async def test_files_go_to_the_bucket_and_come_back_by_range(people: People, config: ControlConfig) -> None:
    ada = await people.user("ada")
    content = secrets.token_bytes(3_000_000)
    status, row = await upload(ada, io.BytesIO(content))
    assert (status, row["sha256"]) == (201, hashlib.sha256(content).hexdigest())
    assert len(stored(config, "media/")) == 1
    assert not [path for path in (config.data_dir / "media").rglob("*") if path.is_file()]
    url = f"{ada.server.url}/api/v1/media/download/{row['id']}"
    async with ada.session.get(url, headers=ada.headers) as answer:
        assert await answer.read() == content
        tag = answer.headers["ETag"]
    async with ada.session.get(url, headers={**ada.headers, "Range": "bytes=1000000-2500000", "If-Range": tag}) as part:
        assert (part.status, await part.read()) == (206, content[1000000:2500001])
    async with ada.session.get(url, headers={**ada.headers, "If-None-Match": tag}) as answer:
        assert answer.status == 304
    async with ada.session.head(url, headers=ada.headers) as answer:
        assert answer.content_length == len(content)
    await ada.ok("DELETE", f"/api/v1/media/{row['id']}")
    assert stored(config, "media/") == []


async def test_images_get_thumbnails_and_avatars(people: People, config: ControlConfig) -> None:
    ada = await people.user("ada")
    _, row = await upload(ada, picture("PNG"))
    assert row["thumbnail"]
    assert (await ada.ok("GET", f"/api/v1/media/thumbnail/{row['id']}")).startswith(b"\xff\xd8")
    url = f"{ada.server.url}/api/v1/users/upload-avatar"
    async with ada.session.post(url, data=picture("JPEG"), headers=ada.headers) as answer:
        assert answer.status == 200
    assert (await ada.ok("GET", f"/api/v1/users/{ada.user['id']}/avatar")).startswith(b"\xff\xd8")
    assert len(stored(config, "media/")) == 3


async def test_recordings_are_served_and_deleted(people: People, config: ControlConfig) -> None:
    ada = await people.user("ada")
    _, recording = await recorded(ada, config, files=2)  # on disk; the recorder brings it to the bucket
    assert config.s3 is not None
    store = S3Store(config.s3, "recordings/")
    for path in (config.recordings_dir / recording).iterdir():
        await asyncio.to_thread(store.put_file, f"{recording}/{path.name}", path, move=True)
    path = f"/api/v1/recordings/{recording}"
    assert len((await ada.ok("GET", path))["tracks"]) == 2
    assert await ada.ok("GET", f"{path}/files/track0.webm", Range="bytes=5-9") == DATA[5:10]
    assert await ada.refused("GET", f"{path}/files/secret.jnl") == (404, "not_found")
    archive = zipfile.ZipFile(io.BytesIO(await ada.ok("GET", f"/api/v1/recording/download/{recording}")))
    assert [archive.read(name) for name in archive.namelist()[:-1]] == [DATA, DATA]
    await ada.ok("DELETE", path)
    assert stored(config, "recordings/") == []


async def test_a_store_that_fails_leaves_nothing_half_visible(
    people: People, config: ControlConfig, s3: S3Server
) -> None:
    ada = await people.user("ada")
    meeting = (await ada.ok("POST", "/api/v1/meetings", {}))["id"]
    _, kept = await upload(ada, b"kept")
    content = secrets.token_bytes(20_000_000)
    try:

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 1_000_000):
                if start == 10_000_000:
                    await asyncio.to_thread(s3.stop)
                yield content[start : start + 1_000_000]

        status, problem = await upload(ada, pieces())
        assert (status, problem["code"]) == (503, "storage_unavailable")
        status, problem = await ada.call("POST", f"/api/v1/meetings/{meeting}/recording/start")
        assert (status, problem["code"]) == (503, "recordings_unavailable")
        assert "does not answer" in problem["detail"]
        assert await ada.refused("GET", f"/api/v1/media/download/{kept['id']}") == (503, "storage_unavailable")
        assert (await ada.call("GET", "/health/ready"))[1]["down"].keys() >= {"recordings"}
    finally:
        await asyncio.to_thread(s3.start)
    listed = await ada.ok("GET", "/api/v1/media")
    assert [one["id"] for one in listed["files"]] == [kept["id"]]
    assert len(stored(config, "media/")) == 1
    assert not [path for path in (config.data_dir / "media").rglob("*") if path.is_file()]
    assert await ada.ok("GET", f"/api/v1/media/download/{kept['id']}") == b"kept"
    assert (await ada.ok("POST", f"/api/v1/meetings/{meeting}/recording/start"))["state"] == "recording"
