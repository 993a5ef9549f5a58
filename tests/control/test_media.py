"""Uploaded files: streamed, typed by content, limited, and served safely."""

import asyncio
import contextlib
import hashlib
import io
import resource
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from control.api.media import safe_name
from control.config import ControlConfig
from control.files.images import Images
from control.http.content_type import sniff
from objects.directory import DirectoryStore
from tests.control.harness import Client, Node, People, serving


def picture(kind: str, size: tuple[int, int] = (640, 480)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind)
    return out.getvalue()


async def upload(client: Client, data: object, query: str = "name=a.bin") -> tuple[int, dict[str, object]]:
    url = f"{client.server.url}/api/v1/media/upload?{query}"
    async with client.session.post(url, data=data, headers=client.headers) as answer:
        return answer.status, await answer.json()


async def test_upload_and_download_by_range(people: People) -> None:
    ada = await people.user("ada")
    content = bytes(range(256)) * 8000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    status, row = await upload(ada, pieces(), "name=..%2F..%2Fx%0A.bin")
    assert (status, row["name"], row["bytes"]) == (201, "x.bin", len(content))
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    url = f"{ada.server.url}/api/v1/media/download/{row['id']}"
    async with ada.session.get(url, headers={**ada.headers, "Range": "bytes=1000-1999"}) as answer:
        assert answer.status == 206
        assert await answer.read() == content[1000:2000]
    listed = await ada.ok("GET", "/api/v1/media")
    assert [one["id"] for one in listed["files"]] == [row["id"]]
    eve = await people.user("eve")
    assert await eve.refused("GET", f"/api/v1/media/info/{row['id']}") == (404, "not_found")
    await ada.ok("DELETE", f"/api/v1/media/{row['id']}")
    assert await ada.refused("GET", f"/api/v1/media/info/{row['id']}") == (404, "not_found")


@pytest.mark.parametrize(
    "content", [b"<html><script>alert(1)</script>", b"<svg xmlns='x'><script/></svg>", b"GIF89a<script>", b"\x00\x01"]
)
async def test_pages_and_polyglots_cannot_act(people: People, content: bytes) -> None:
    ada = await people.user("ada")
    _, row = await upload(ada, content, "name=a.html")
    async with ada.session.get(f"{ada.server.url}/api/v1/media/download/{row['id']}", headers=ada.headers) as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
        assert answer.content_type in {"application/octet-stream", "image/gif"}
        if answer.content_type != "image/gif":
            assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_images_get_a_thumbnail(people: People, kind: str) -> None:
    ada = await people.user("ada")
    _, row = await upload(ada, picture(kind))
    assert row["content_type"] == f"image/{kind.lower()}" and row["thumbnail"] is True
    async with ada.session.get(f"{ada.server.url}/api/v1/media/thumbnail/{row['id']}", headers=ada.headers) as answer:
        small = Image.open(io.BytesIO(await answer.read()))
    assert small.size == (480, 360)


async def test_limits_and_quota(config: ControlConfig) -> None:
    limited = replace(config, max_upload_bytes=1000, quota_bytes=1500)
    async with serving(limited) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 100

        with contextlib.suppress(aiohttp.ClientConnectionError, ConnectionError):  # closed while it still sends
            assert (await upload(ada, endless()))[0] == 413
        assert (await upload(ada, b"x" * 1001))[0] == 413
        assert (await upload(ada, b"x" * 1000))[0] == 201
        status, problem = await upload(ada, b"x" * 1000)
        assert (status, problem["code"]) == (413, "quota")
        files = [path for path in (config.data_dir / "media").rglob("*") if path.is_file()]
        assert len(files) == 1


async def test_an_upload_that_breaks_off_leaves_nothing(people: People, config: ControlConfig) -> None:
    ada = await people.user("ada")
    host, port = ada.server.addresses.http[0].split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v1/media/upload?name=x HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000000\r\n"
    writer.write(f"{head}Authorization: {ada.headers['Authorization']}\r\n\r\n".encode() + b"x" * 200_000)
    await writer.drain()
    media = config.data_dir / "media"
    async with asyncio.timeout(30):
        while not list(media.rglob("*.part")):
            await asyncio.sleep(0.01)
        writer.close()
        while list(media.rglob("*.part")):
            await asyncio.sleep(0.01)
    assert [path for path in media.rglob("*") if path.is_file()] == []
    assert (await ada.ok("GET", "/api/v1/media"))["files"] == []


async def test_room_is_reserved_before_the_first_byte_and_given_back(config: ControlConfig, dsn: str) -> None:
    async with serving(replace(config, quota_bytes=1_000_000)) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        ada = await people.user("ada")
        host, port = server.addresses.http[0].split(":")

        async def begin(size: int, sent: bytes) -> asyncio.StreamWriter:
            _, writer = await asyncio.open_connection(host, int(port))
            head = f"POST /api/v1/media/upload?name=x HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {size}\r\n"
            writer.write(f"{head}Authorization: {ada.headers['Authorization']}\r\n\r\n".encode() + sent)
            await writer.drain()
            return writer

        writer = await begin(900_000, b"x")
        await rows_are(dsn, "SELECT id FROM loose_files WHERE bytes = 900000", 1)
        status, problem = await upload(ada, b"x" * 200_000)
        assert (status, problem["code"]) == (413, "quota")
        assert (await upload(ada, b"x" * 90_000))[0] == 201
        writer.close()
        await rows_are(dsn, "SELECT id FROM loose_files", 0)
        assert (await upload(ada, b"x" * 800_000))[0] == 201

        async def unknown_size() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield b"x" * 10_000

        with contextlib.suppress(aiohttp.ClientConnectionError, ConnectionError):  # closed while it still sends
            assert (await upload(ada, unknown_size()))[0] == 413
        await rows_are(dsn, "SELECT id FROM loose_files", 0)
        assert len([path for path in (config.data_dir / "media").rglob("*") if path.is_file()]) == 2


async def test_an_upload_whose_sender_hangs_up_once_it_is_sent_leaves_nothing(
    people: People, config: ControlConfig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await people.user("ada")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(images: Images, path: object, kind: str) -> None:
        begun.set()
        await go_on.wait()

    monkeypatch.setattr(Images, "thumbnail", slow)
    sending = asyncio.create_task(upload(ada, picture("PNG")))
    async with asyncio.timeout(30):
        await begun.wait()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        await rows_are(dsn, "SELECT id FROM loose_files", 0)
    go_on.set()
    assert [path for path in (config.data_dir / "media").rglob("*") if path.is_file()] == []
    assert (await ada.ok("GET", "/api/v1/media"))["files"] == []


async def test_what_a_killed_process_left_is_collected(config: ControlConfig, dsn: str) -> None:
    """Two uploads by a dead process: one has expired, and another process continues the other."""
    lapsed, going_on = f"file_{1:032x}", f"file_{2:032x}"
    store = DirectoryStore(config.data_dir / "media")
    for file in (lapsed, going_on):
        store.put(f"{file[-2:]}/{file}", b"left")
    store.put(f"{lapsed[-2:]}/{lapsed}.jpg", b"left")
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO loose_files (id, until) VALUES ($1, now() - interval '1 second')", lapsed)
    await connection.execute("INSERT INTO loose_files (id, until) VALUES ($1, now() + interval '1 hour')", going_on)
    await connection.close()
    async with serving(config):
        await rows_are(dsn, "SELECT id FROM loose_files", 1)
        assert [info.key for info in store.list()] == [f"{going_on[-2:]}/{going_on}"]


async def rows_are(dsn: str, query: str, number: int) -> None:
    """Wait until a query finds so many rows."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(30):
            while len(await connection.fetch(query)) != number:
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def test_avatar_is_encoded_anew_and_shown_in_meetings(people: People, node: Node) -> None:
    ada, eve = await people.user("ada"), await people.user("eve")
    url = f"{ada.server.url}/api/v1/users/upload-avatar"
    for data in (picture("PNG"), picture("JPEG", (100, 900))):
        async with ada.session.post(url, data=data, headers=ada.headers) as answer:
            assert answer.status == 200
    avatar = f"{ada.server.url}/api/v1/users/{ada.user['id']}/avatar"
    async with eve.session.get(avatar, headers=eve.headers) as answer:
        assert Image.open(io.BytesIO(await answer.read())).size == (256, 256)
    meeting = (await ada.ok("POST", "/api/v1/meetings", {}))["id"]
    joined = await ada.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
    entered = await people.nobody().ok("POST", f"/api/v1/meetings/{meeting}/join", {"name": "Grace"})
    guest = people.bearer(entered["participant_token"])
    (shown,) = (await guest.ok("GET", f"/api/v1/meetings/{meeting}/avatars"))["avatars"]
    assert shown["participant"] == joined["participant"]
    assert shown["avatar"] == (await ada.ok("GET", "/api/v1/users/profile"))["avatar"]
    async with guest.session.get(avatar, headers=guest.headers) as answer:
        assert (answer.status, answer.content_type) == (200, "image/jpeg")
    for data in (b"", b"no image", b"<svg/>", picture("PNG")[:60]):
        async with ada.session.post(url, data=data, headers=ada.headers) as answer:
            assert answer.status == 415
    await ada.ok("DELETE", "/api/v1/users/avatar")
    assert (await guest.ok("GET", f"/api/v1/meetings/{meeting}/avatars"))["avatars"] == []


async def test_image_bombs_are_refused() -> None:
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    assert len(out.getvalue()) < 200_000
    with pytest.raises(ValueError, match=r"pixels|image"):
        await Images().avatar(out.getvalue())


@given(st.binary(max_size=100))
def test_sniff_always_answers(data: bytes) -> None:
    assert "/" in sniff(data)


@given(st.text(max_size=300))
def test_safe_names_have_no_path_and_no_control_characters(name: str) -> None:
    safe = safe_name(name)
    assert safe and "/" not in safe and "\\" not in safe and safe not in {".", ".."}
    assert safe.isprintable() or all(ord(letter) >= 32 for letter in safe)


def video(codec: str, form: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, 10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((480, 640, 3), 90, np.uint8))))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(("codec", "form"), [("libvpx", "webm"), ("libvpx-vp9", "webm"), ("mpeg4", "mp4")])
async def test_videos_get_a_thumbnail(people: People, codec: str, form: str) -> None:
    ada = await people.user("ada")
    _, row = await upload(ada, video(codec, form))
    assert str(row["content_type"]).startswith("video/") and row["thumbnail"] is True
    async with ada.session.get(f"{ada.server.url}/api/v1/media/thumbnail/{row['id']}", headers=ada.headers) as answer:
        assert Image.open(io.BytesIO(await answer.read())).size == (480, 360)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "MPO"])
async def test_a_picture_that_lies_on_its_side_is_turned(tmp_path: Path, kind: str) -> None:
    image = Image.new("RGB", (640, 320))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    more = {"save_all": True, "append_images": [Image.new("RGB", (640, 320))]} if kind == "MPO" else {}
    image.save(tmp_path / "picture", kind, exif=exif, **more)
    made = await Images().thumbnail(tmp_path / "picture", "image/jpeg")
    assert made is not None and Image.open(io.BytesIO(made)).size == (240, 480)


async def test_a_large_picture_takes_no_memory_of_control() -> None:
    """39.7 million pixels in a few kilobytes, as large as is taken."""
    out = io.BytesIO()
    Image.new("RGB", (6300, 6300), "red").save(out, "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (await Images().avatar(out.getvalue()))[:2] == b"\xff\xd8"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 * 1024


async def test_a_worker_that_is_ended_or_slow_is_a_file_without_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers in the place of ours: one that dies as a broken decoder would, one that never answers."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "dying_worker.py").write_text("import os\nos.abort()\n")
    (tmp_path / "slow_worker.py").write_text("import signal\nsignal.pause()\n")
    made = Images()
    with tempfile.TemporaryFile() as file:
        with pytest.raises(ValueError, match="cannot be read"):
            await made._make(file.fileno(), "dying_worker")
        monkeypatch.setattr("control.files.images._SECONDS", 1.0)
        with pytest.raises(ValueError, match="too long"):
            await made._make(file.fileno(), "slow_worker")


async def test_a_worker_knows_no_secret_and_reaches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_NODE_SECRET", "must not be inherited")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "probing_worker.py").write_text(PROBING)
    with tempfile.TemporaryFile() as file, pytest.raises(ValueError, match="environment") as said:
        await Images()._make(file.fileno(), "probing_worker")
    environment, *attempts = str(said.value).split(";")
    assert "PARLEY" not in environment
    assert attempts == [
        "socket PermissionError",
        "file PermissionError",
        "program PermissionError",
        "large MemoryError",
    ]


PROBING = """
import io, os, socket, subprocess, sys
from control.files import image_worker
TRIED = {
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "file": lambda: open("/etc/hostname"),
    "program": lambda: subprocess.run(["/bin/true"]),
    "large": lambda: bytearray(image_worker.MEMORY_BYTES),
}
def make(file):
    said = ["environment " + " ".join(os.environ)]
    for name, attempt in TRIED.items():
        try:
            attempt()
            said.append(name + " allowed")
        except Exception as error:
            said.append(name + " " + type(error).__name__)
    raise ValueError(";".join(said))
with socket.socket(fileno=int(sys.argv[1])) as channel:
    image_worker.serve(channel, io.BytesIO(), make, ())
"""
