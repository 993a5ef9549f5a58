"""Segments and images in applications' buckets: players read what was stored, and a bucket that refuses is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import msgspec
import pytest

from foundation.background import cancel_all
from foundation.broadcasts import ImageOptions, OutputOrder, OutputView, SegmentOptions
from foundation.media_units import Unit, UnitKind
from objects.buckets import S3Bucket
from objects.s3 import S3Store
from recorder.broadcast.bucket_images import BucketImages
from recorder.broadcast.bucket_output import BucketOutput
from recorder.broadcast.bucket_segments import BucketSegments
from recorder.broadcast.lasting_playlist import LastingPlaylist
from tests.recorder.broadcast.test_hls import FIRST, RATE, media
from tests.support.object_stores import S3Server, running_s3
from tests.support.waiting import eventually

__all__ = ["media"]
OPTIONS = SegmentOptions(prefix="day", playlist="all", live_playlist="now", seconds=4)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        S3Store(server.config, "x/").put("x", b"")  # makes the bucket
        yield server


def order(s3: S3Server, view: OutputView, *, secret: str = "", ago: float = 0.0) -> OutputOrder:
    bucket = S3Bucket(
        bucket=s3.config.bucket,
        access_key=s3.config.access_key,
        secret=secret or s3.config.secret_key,
        endpoint=s3.config.endpoint,
        path_style=True,
    )
    return OutputOrder(
        id="o",
        kind="images" if view.images else "hls",
        key=msgspec.json.encode(bucket).decode(),
        private=True,
        view=view,
        begun=int((time.time() - ago) * 1000),
    )


@asynccontextmanager
async def at_work(output: BucketOutput) -> AsyncIterator[None]:
    running = asyncio.create_task(output.run())
    try:
        await asyncio.sleep(0)
        yield
    finally:
        await cancel_all([running])
        await output.forget()


async def test_players_read_the_segments_of_a_bucket(
    s3: S3Server, media: tuple[Unit, Unit, list[Unit]], tmp_path: Path
) -> None:
    video, audio, units = media
    output = BucketSegments(order(s3, OutputView(segments=OPTIONS, folder="shows/")), time.monotonic_ns())
    async with at_work(output):
        for unit in (video, audio, *units):
            output.put(unit)
        await eventually(lambda: output.state().images == 2, 30)
        assert output.state().phase == "live"
        store = S3Store(s3.config, "shows/")
        assert "#EXT-X-ENDLIST" not in read(store, "all.m3u8")
    playlist = read(store, "all.m3u8").splitlines()
    assert "#EXT-X-TARGETDURATION:4" in playlist
    assert [line for line in playlist if line.startswith("day")] == [f"day_{number:05d}.m4s" for number in range(3)]
    assert playlist[-1] == "#EXT-X-ENDLIST"
    assert read(store, "now.m3u8").count("#EXTINF:4.00000") == 1
    for found in store.list():
        (tmp_path / found.key).write_bytes(store.read(found.key, 0, found.size))
    with av.open(str(tmp_path / "all.m3u8")) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    assert 8.5 * RATE <= pictures <= 9 * RATE - FIRST + RATE / 2


def read(store: S3Store, name: str) -> str:
    return store.read(name, 0, store.info(name).size).decode()


async def test_a_later_process_does_not_write_over_what_is_there(s3: S3Server) -> None:
    view = OutputView(images=ImageOptions(seconds=10, prefix="shot"), folder="shots/")
    for ago in (0.0, 35.0):
        output = BucketImages(order(s3, view, ago=ago), time.monotonic_ns())
        async with at_work(output):
            assert output.state().phase == "connecting"  # until something is stored
            for count in (1, 2):
                output.put(Unit(UnitKind.IMAGE, True, 0, b"picture"))
                await eventually(lambda count=count, output=output: output.state().images == count, 30)
    names = [found.key for found in S3Store(s3.config, "shots/").list()]
    assert sorted(names) == [f"shot_{number:05d}.jpg" for number in (0, 1, 4, 5)]


async def test_a_bucket_that_refuses_is_told(s3: S3Server) -> None:
    view = OutputView(images=ImageOptions(), folder="refused/")
    output = BucketImages(order(s3, view, secret="another" * 6), time.monotonic_ns())
    async with at_work(output):
        output.put(Unit(UnitKind.IMAGE, True, 0, b"picture"))
        await eventually(lambda: output.state().attempts == 1, 30)
        assert output.state().error == "the store answered 403 SignatureDoesNotMatch"
        await eventually(lambda: output.state().phase == "connecting", 30)  # again
    assert not [*S3Store(s3.config, "refused/").list()]


def test_an_interruption_is_a_discontinuity_and_old_segments_leave_the_newest() -> None:
    playlist = LastingPlaylist(5)
    for number in range(7):
        playlist.add("a.mp4" if number < 2 else "b.mp4", f"{number}.m4s", 6.0)
    assert playlist.text().splitlines() == [
        "#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:6", "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS", '#EXT-X-MAP:URI="a.mp4"', "#EXTINF:6.00000,", "0.m4s", "#EXTINF:6.00000,",
        "1.m4s", "#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="b.mp4"',
        *(line for number in range(2, 7) for line in ("#EXTINF:6.00000,", f"{number}.m4s")),
    ]  # fmt: skip
    newest = playlist.newest()
    assert "#EXT-X-MEDIA-SEQUENCE:2\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in newest and "1.m4s" not in newest
    assert "EVENT" not in newest and newest.count("#EXT-X-MAP") == 1 and "#EXT-X-DISCONTINUITY\n" not in newest
