"""Recordings are uploaded to a real S3 server as they are made, despite faults of disk, store and process."""

import asyncio
import io
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace

import av
import msgspec
import pytest

from objects.s3 import S3Store
from objects.s3_config import S3Config
from recorder import stored
from recorder.config import RecorderConfig
from recorder.manifest import Manifest, decode_manifest
from recorder.upkeep import close_finished
from sfu.api.sink_records import PacketRecord, RecordingEnded
from sfu.formats.codecs import Codec
from tests.recorder.conftest import running
from tests.recorder.media import SECOND, Stream, opus, read_number, video
from tests.recorder.sink_server import SinkServer, begun, by_arrival
from tests.support.object_stores import S3Server
from tests.support.waiting import eventually

OPENED_AT = 1_000 * SECOND
FRAMES = 180


@pytest.fixture
def stored_config(config: RecorderConfig, s3: S3Server) -> RecorderConfig:
    """Segments of a second, into a bucket of the test's own."""
    bucket = replace(s3.config, bucket=f"test-{secrets.token_hex(6)}")
    return replace(config, s3=bucket, cut_after_seconds=0.9)


def store_of(config: RecorderConfig) -> S3Store:
    assert isinstance(config.s3, S3Config)
    return S3Store(config.s3, "recordings/")


def camera() -> Stream:
    frames = video(Codec.VP8, FRAMES, keyframe_every=15)
    return Stream(codec=Codec.VP8, frames=frames, fps=30, track="cam", handle=1, ssrc=11, opened_at=OPENED_AT)


def microphone() -> Stream:
    frames = opus(FRAMES * 5 // 3)
    return Stream(codec=Codec.OPUS, frames=frames, fps=50, track="mic", handle=2, ssrc=22, opened_at=OPENED_AT)


async def until_stored(store: S3Store, prefix: str, wanted: Callable[[list[str]], bool]) -> None:
    """Wait until the keys below a prefix are as wanted; looked at in a thread, beside the recorder of this process."""
    await eventually(lambda: asyncio.to_thread(lambda: wanted([found.key for found in store.list(prefix)])))


def journals(count: int) -> Callable[[list[str]], bool]:
    """Return a condition: at least so many segments are stored; each has a journal."""
    return lambda keys: sum(key.endswith(".jnl") for key in keys) >= count


async def committed(store: S3Store) -> Manifest:
    await until_stored(store, "rec1/", lambda keys: "rec1/manifest.json" in keys)
    return decode_manifest(get(store, "rec1/manifest.json"))


def get(store: S3Store, key: str) -> bytes:
    return store.read(key, 0, store.info(key).size)


def numbers(store: S3Store, manifest: Manifest) -> list[int]:
    """The numbers of the camera's pictures, as decoded from the store."""
    (track,) = (track for track in manifest.tracks if track.track == "cam")
    found = []
    for file in track.files:
        with av.open(io.BytesIO(get(store, file.key))) as container:
            found += [read_number(image.to_ndarray(format="gray")) for image in container.decode(video=0)]
    return found


def media(config: RecorderConfig) -> list[str]:
    return sorted(path.name for path in config.recordings_dir.rglob("*") if path.suffix in {".webm", ".part"})


async def test_a_recording_is_in_the_store_and_no_longer_on_disk(stored_config: RecorderConfig) -> None:
    store = store_of(stored_config)
    streams = camera(), microphone()
    async with SinkServer(stored_config.sink_socket) as sfu, running(stored_config):
        await sfu.attached()
        await sfu.send(begun(opened_at=OPENED_AT), *(stream.opened() for stream in streams))
        await sfu.send(*by_arrival(*(stream.records() for stream in streams)))
        await until_stored(store, "rec1/cam/", journals(4))
        assert "rec1/manifest.json" not in [found.key for found in store.list("rec1/")]
        await until_stored(store, stored.OPEN, lambda keys: keys == ["_open/rec1.json"])
        await eventually(lambda: len(media(stored_config)) <= 4)  # the open one and the newest of each track
        await sfu.send(RecordingEnded(recording="rec1", room="room1"))
        manifest = await committed(store)
        await eventually(lambda: not media(stored_config))
    assert manifest.state == "ready"
    assert numbers(store, manifest) == list(range(FRAMES))
    keys = {found.key: found.size for found in store.list("rec1/")}
    for track in manifest.tracks:
        assert all(keys[segment.key] == segment.bytes for segment in track.segments)
        assert all(keys[file.key] == file.bytes for file in track.files)


@pytest.mark.parametrize("killed", [True, False], ids=["with its process", "alone"])
async def test_the_disk_is_lost_in_the_middle(stored_config: RecorderConfig, killed: bool) -> None:
    store = store_of(stored_config)
    stream = camera()
    records = list(stream.records())
    cut = next(i for i, r in enumerate(records) if isinstance(r, PacketRecord) and r.arrival > OPENED_AT + 4 * SECOND)
    async with SinkServer(stored_config.sink_socket) as sfu:
        async with running(stored_config):
            await sfu.attached()
            await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *records[:cut])
            await until_stored(store, "rec1/cam/", journals(3))
            if not killed:
                shutil.rmtree(stored_config.recordings_dir)
                await sfu.send(*records[cut:], RecordingEnded(recording="rec1", room="room1"))
                manifest = await committed(store)
        if killed:
            shutil.rmtree(stored_config.recordings_dir)
            sfu.detach()
            async with running(stored_config):
                await sfu.attached(2)
                await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *records[cut:])
                await sfu.send(RecordingEnded(recording="rec1", room="room1"))
                manifest = await committed(store)
    found = numbers(store, manifest)
    assert found == sorted(set(found))
    assert found[0] == 0 and found[-1] == FRAMES - 1
    assert len(found) >= FRAMES - 2 * 45  # the open segment, and files that had not reached the store
    if not killed:
        assert manifest.state == "partial"


async def test_the_store_is_away_while_a_recording_ends(stored_config: RecorderConfig, s3: S3Server) -> None:
    store = store_of(stored_config)
    stream = camera()
    try:
        async with SinkServer(stored_config.sink_socket) as sfu:
            async with running(stored_config):
                await sfu.attached()
                s3.stop()
                await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records())
                await sfu.send(RecordingEnded(recording="rec1", room="room1"))
                local = stored_config.recordings_dir / "rec1" / "cam"
                await eventually(lambda: len(list(local.glob("*.webm"))) >= 4)
            s3.start()
            assert list(store.list("rec1/")) == []
            async with running(stored_config):
                manifest = await committed(store)
    finally:
        if s3.process is None:
            s3.start()
    assert manifest.state == "ready"
    assert numbers(store, manifest) == list(range(FRAMES))


async def test_what_another_recorder_left_is_taken_over_when_it_is_old(stored_config: RecorderConfig, tmp_path) -> None:
    store = store_of(stored_config)
    stream = camera()
    async with SinkServer(stored_config.sink_socket) as sfu, running(stored_config):
        await sfu.attached()
        await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records())
        await until_stored(store, "rec1/cam/", journals(4))
    newest = max(found.modified for found in store.list("rec1/"))
    other = tmp_path / "other"
    assert stored.restore(store, other, "recorder-2", newest + stored.ORPHANED_SECONDS - 60) == []
    assert stored.restore(store, other, "recorder-2", newest + stored.ORPHANED_SECONDS + 60) == ["rec1"]
    assert stored.restore(store, other, "recorder-2", newest + stored.ORPHANED_SECONDS + 60) == []
    assert list((other / "rec1" / "cam").glob("*.jnl"))
    damaged = msgspec.json.encode({"version": 1})
    store.put("_open/rec2.json", damaged)
    assert stored.restore(store, other, "recorder-2", newest) == []


async def test_segments_of_a_finished_recording_are_deleted_after_a_while(stored_config: RecorderConfig) -> None:
    store = store_of(stored_config)
    stream = camera()
    async with SinkServer(stored_config.sink_socket) as sfu, running(stored_config):
        await sfu.attached()
        await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records())
        await sfu.send(RecordingEnded(recording="rec1", room="room1"))
        manifest = await committed(store)
    root = stored_config.recordings_dir
    (root / "rec1" / "manifest.reported").touch()
    ended = manifest.ended_unix_ms / 1000
    assert close_finished(root, 24, store, ended + 3600) == []
    assert close_finished(root, 24, store, ended + 25 * 3600) == ["rec1"]
    assert list(store.list("rec1/cam/")) == []
    assert numbers(store, manifest) == list(range(FRAMES))
    async with SinkServer(stored_config.sink_socket) as sfu, running(stored_config):
        await sfu.attached()
        await sfu.send(begun(opened_at=OPENED_AT), stream.opened(), *stream.records())
        await sfu.send(RecordingEnded(recording="rec1", room="room1"))
    assert decode_manifest(get(store, "rec1/manifest.json")) == manifest
