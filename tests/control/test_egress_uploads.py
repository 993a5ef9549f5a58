"""Files of egresses: beside images, and uploaded to buckets of applications, whose credentials nobody sees again."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import msgspec
import pytest
from livekit import api

from control.config import ControlConfig
from control.twirp.egress_buckets import destination, key_of
from control.twirp.egress_targets import redacted, targets_of
from control.twirp.service import TwirpError
from foundation.broadcasts import ImageOptions, OutputState, SegmentOptions
from objects.buckets import Bucket, S3Bucket
from objects.s3 import S3Store
from tests.control.harness import Client, report
from tests.control.jobs.test_outside_jobs import FILM, ask
from tests.control.test_broadcasts import LIVE, told
from tests.control.test_live_egress import ROOM, STATUS, stage
from tests.control.test_recordings import DATA, write_recording
from tests.support.object_stores import S3Server, running_s3
from tests.support.waiting import eventually

CONTENT = b"a film"
S3 = api.S3Upload(bucket="films", access_key="a", secret="b")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        S3Store(server.config, "x/").put("x", b"")  # makes the bucket
        yield server


def to_bucket(s3: S3Server, **other: str) -> api.S3Upload:
    given = {"access_key": s3.config.access_key, "secret": s3.config.secret_key} | other
    return api.S3Upload(bucket=s3.config.bucket, endpoint=s3.config.endpoint, force_path_style=True, **given)


def ordered(filepath: str, s3: api.S3Upload) -> api.RoomCompositeEgressRequest:
    return api.RoomCompositeEgressRequest(
        room_name=ROOM, file_outputs=[api.EncodedFileOutput(filepath=filepath, s3=s3)]
    )


async def film(host: Client, config: ControlConfig, meeting: str, recording: str, count: int) -> None:
    """Finish the recording, and make its films."""
    write_recording(config.recordings_dir, recording, 1)
    common = {"room": meeting, "recording": recording, "at": 1_700_000_000_000}
    finished = {"state": "ready", "duration_ms": 60_000, "bytes": len(DATA), "manifest": f"{recording}/manifest.json"}
    facts = [{"kind": "recording_started", **common}, {"kind": "recording_finished", **finished, **common}]
    await report(host, *facts, n=1, node="recorder-1")
    for _ in range(count):
        _, job = await ask(host, "claim", {"kinds": ["film"], "node": "recorder-1"})
        name = f"film-{job['id']}-1.mp4"
        (config.recordings_dir / recording / name).write_bytes(CONTENT)
        made = FILM | {"file": name, "bytes": len(CONTENT)}
        assert await ask(host, f"{job['id']}/outcome", {"attempt": 1, "result": made}) == (200, {"held": True})


async def test_a_film_is_uploaded_and_its_credentials_are_forgotten(
    config: ControlConfig, dsn: str, s3: S3Server
) -> None:
    config = dataclasses.replace(config, allow_private_broadcasts=True)
    connection = await asyncpg.connect(dsn)
    async with stage(config) as (host, meeting, egress):
        await report(host, {"kind": "room_opened", "room": meeting, "at": 1_700_000_000_000}, n=1)
        good = await egress.start_room_composite_egress(ordered("{room_name}/day", to_bucket(s3)))
        wrong = await egress.start_room_composite_egress(ordered("day.mp4", to_bucket(s3, secret="wrong" * 8)))
        shown = good.room_composite.file_outputs[0].s3
        assert (shown.access_key, shown.secret, shown.bucket) == ("{access_key}", "{secret}", s3.config.bucket)
        stored = str(await connection.fetch("SELECT * FROM livekit_egresses"))
        assert s3.config.secret_key not in stored and s3.config.access_key not in stored and "sealed1:" in stored

        for started in (good, wrong):
            await egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
        recording = await connection.fetchval("SELECT recording_id FROM livekit_egresses LIMIT 1")
        await film(host, config, meeting, recording, 2)

        async def over() -> dict[str, Any] | None:
            items = (await egress.list_egress(api.ListEgressRequest(room_name=ROOM))).items
            return (
                {one.egress_id: one for one in items}
                if all(one.status != STATUS.EGRESS_ENDING for one in items)
                else None
            )

        ended = await eventually(over, 60)
        result = ended[good.egress_id].file_results[0]
        assert ended[good.egress_id].status == STATUS.EGRESS_COMPLETE
        assert (result.filename, result.size) == (f"{ROOM}/day.mp4", len(CONTENT))
        assert result.location == f"{s3.config.endpoint}/{s3.config.bucket}/{ROOM}/day.mp4"
        assert S3Store(s3.config, f"{ROOM}/").read("day.mp4", 0, len(CONTENT)) == CONTENT
        failed = ended[wrong.egress_id]
        assert (failed.status, failed.error) == (
            STATUS.EGRESS_FAILED, "the file was not uploaded: the store answered 403 SignatureDoesNotMatch",
        )  # fmt: skip
        assert failed.file_results[0].location.startswith("/api/v1/recordings/")
        assert "sealed1:" not in str(await connection.fetch("SELECT * FROM livekit_egresses"))
        kinds = await connection.fetch("SELECT kind FROM outbox WHERE kind = 'egress.ended'")
        assert len(kinds) == 2
    await connection.close()


async def test_a_file_and_images_are_one_egress(config: ControlConfig, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    async with stage(config) as (host, meeting, egress):
        await report(host, {"kind": "room_opened", "room": meeting, "at": 1_700_000_000_000}, n=1)
        order = api.RoomCompositeEgressRequest(
            room_name=ROOM, file_outputs=[api.EncodedFileOutput(filepath="day.mp4")], image_outputs=[api.ImageOutput()]
        )
        started = await egress.start_room_composite_egress(order)
        assert (started.status, len(started.image_results)) == (STATUS.EGRESS_ACTIVE, 1)
        assert await host.ok("GET", f"/api/v1/meetings/{meeting}/broadcast")
        too_many = api.RoomCompositeEgressRequest()
        too_many.CopyFrom(order)
        too_many.image_outputs.extend([api.ImageOutput()] * 10)
        with pytest.raises(api.TwirpError, match="outputs"):
            await egress.start_room_composite_egress(too_many)

        stopped = await egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
        assert stopped.status == STATUS.EGRESS_ENDING
        ended = "SELECT bool_and(ended_at IS NOT NULL) FROM broadcasts"
        assert await connection.fetchval(ended)
        recording = await connection.fetchval("SELECT recording_id FROM livekit_egresses")
        await film(host, config, meeting, recording, 1)
        (listed,) = (await egress.list_egress(api.ListEgressRequest(room_name=ROOM))).items
        assert (listed.status, len(listed.file_results), len(listed.image_results)) == (STATUS.EGRESS_COMPLETE, 1, 1)
        with pytest.raises(api.TwirpError, match="outputs"):
            await egress.start_room_composite_egress(too_many)
        assert not await connection.fetchval("SELECT count(*) FROM meeting_recordings WHERE state = 'recording'")
        kinds = await connection.fetch("SELECT kind FROM outbox WHERE kind = 'egress.ended'")
        assert len(kinds) == 1
    await connection.close()


async def test_segments_and_images_go_to_buckets_that_are_forgotten(config: ControlConfig, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    s3 = api.S3Upload(bucket="films", access_key="an access key", secret="a secret key", region="eu-central-1")
    wanted = api.RoomCompositeEgressRequest(
        room_name=ROOM,
        segment_outputs=[
            api.SegmentedFileOutput(
                filename_prefix="{room_name}/day", playlist_name="all.m3u8", live_playlist_name="now.m3u8",
                segment_duration=6, s3=s3,
            ),
        ],
        image_outputs=[api.ImageOutput(capture_interval=5, filename_prefix="shots of day/at {room_id}", s3=s3)],
    )  # fmt: skip
    async with stage(config) as (host, meeting, egress):
        await report(host, {"kind": "room_opened", "room": meeting, "at": 1_700_000_000_000}, n=1)
        started = await egress.start_room_composite_egress(wanted)
        shown = started.room_composite.segment_outputs[0].s3
        assert (shown.secret, shown.bucket) == ("{secret}", "films")
        broadcast = await connection.fetchval("SELECT id FROM broadcasts")
        orders = {order.kind: order for order in (await told(host, broadcast)).outputs}
        assert {order.view.folder for order in orders.values()} == {f"{ROOM}/", "shots of day/"}
        assert orders["hls"].view.segments == SegmentOptions(
            prefix="day", playlist="all", live_playlist="now", seconds=6
        )
        images = orders["images"].view.images
        assert images == ImageOptions(seconds=5, prefix=f"at-RM_{meeting}")
        bucket = msgspec.json.decode(orders["hls"].key, type=Bucket)
        assert isinstance(bucket, S3Bucket) and (bucket.secret, bucket.bucket) == ("a secret key", "films")
        stored = await connection.fetch("SELECT o::text, e::text FROM broadcast_outputs o, livekit_egresses e")
        assert "secret key" not in str(stored) and b"secret key".hex() not in str(stored)

        live: OutputState = msgspec.structs.replace(LIVE, images=3)
        await told(host, broadcast, outputs={order.id: live for order in orders.values()})
        ended = await egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
        assert ended.status == STATUS.EGRESS_COMPLETE
        (segments,) = ended.segment_results
        assert (segments.playlist_name, segments.live_playlist_name) == (f"{ROOM}/all.m3u8", f"{ROOM}/now.m3u8")
        assert segments.playlist_location == f"https://films.s3.eu-central-1.amazonaws.com/{ROOM}/all.m3u8"
        assert (segments.segment_count, ended.image_results[0].image_count) == (3, 3)
        assert ended.image_results[0].filename_prefix == f"shots of day/at-RM_{meeting}"
        assert not await connection.fetchval("SELECT count(*) FROM broadcast_outputs")
    await connection.close()


@pytest.mark.parametrize(
    "output",
    [
        api.SegmentedFileOutput(filename_prefix="../day", s3=S3),
        api.SegmentedFileOutput(playlist_name="day.m3u8", live_playlist_name="day.m3u8", s3=S3),
        api.SegmentedFileOutput(filename_prefix="day", segment_duration=61, s3=S3),
        api.SegmentedFileOutput(s3=api.S3Upload(bucket="b")),
    ],
)
async def test_strange_segments_are_refused(output: api.SegmentedFileOutput) -> None:
    asked = api.RoomCompositeEgressRequest(room_name="Daily", segment_outputs=[output])
    with pytest.raises(TwirpError) as caught:
        await targets_of(asked, "RM_1", private=False)
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize(
    ("prefix", "playlist", "folder", "names"),
    [
        ("", "", "", ("Daily-", "Daily-")),
        ("", "shows/day.m3u8", "shows/", ("day", "day")),
        ("part", "shows/day.m3u8", "shows/", ("part", "day")),
        ("shows/", "day", "shows/", ("Daily-", "day")),
    ],
)
async def test_segments_are_beside_their_playlist(
    prefix: str, playlist: str, folder: str, names: tuple[str, str]
) -> None:
    output = api.SegmentedFileOutput(filename_prefix=prefix, playlist_name=playlist, s3=S3)
    asked = api.RoomCompositeEgressRequest(room_name="Daily", segment_outputs=[output])
    (target,) = await targets_of(asked, "RM_1", private=False)
    options = target.view.segments
    assert options is not None and target.view.folder == folder
    assert options.prefix.startswith(names[0]) and options.playlist.startswith(names[1])


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("day.mp4", "day.mp4"),
        ("/films/day", "films/day.mp4"),
        ("day.webm", "day.webm.mp4"),
        ("{room_id}/{room_name}", "RM_1/Team-4-2.mp4"),
    ],
)
def test_paths_become_keys(path: str, key: str) -> None:
    assert key_of(api.RoomCompositeEgressRequest(room_name="Team 4/2"), path, "mp4", "RM_1") == key


def test_a_path_without_a_name_gets_one() -> None:
    key = key_of(api.RoomCompositeEgressRequest(room_name="Daily"), "films/", "mp3", "RM_1")
    assert key.startswith("films/Daily-20") and key.endswith(".mp3")


@pytest.mark.parametrize("path", ["a/../../b", "a//b", "a/./b", "a\nb", "x" * 1025])
def test_strange_paths_are_refused(path: str) -> None:
    with pytest.raises(TwirpError):
        key_of(api.RoomCompositeEgressRequest(room_name="Daily"), path, "mp4", "RM_1")


@pytest.mark.parametrize(
    ("output", "code"),
    [
        (api.EncodedFileOutput(gcp=api.GCPUpload(bucket="b")), "invalid_argument"),
        (api.EncodedFileOutput(gcp=api.GCPUpload(bucket="films", credentials="x")), "invalid_argument"),
        (api.EncodedFileOutput(azure=api.AzureBlobUpload(container_name="films")), "invalid_argument"),
        (
            api.EncodedFileOutput(aliOSS=api.AliOSSUpload(bucket="films", access_key="a", secret="b")),
            "invalid_argument",
        ),
        (api.EncodedFileOutput(s3=api.S3Upload(bucket="b")), "invalid_argument"),
        (api.EncodedFileOutput(s3=api.S3Upload(bucket="B?", access_key="a", secret="b")), "invalid_argument"),
        (api.EncodedFileOutput(s3=api.S3Upload(bucket="b", access_key="a", secret="b", tagging="x")), "unimplemented"),
    ],
)
async def test_incomplete_stores_are_refused(output: api.EncodedFileOutput, code: str) -> None:
    with pytest.raises(TwirpError) as caught:
        await destination(output, private=False)
    assert caught.value.code == code


async def test_a_store_without_its_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.storage.blob", None)
    azure = api.AzureBlobUpload(account_name="house", account_key="AAAA", container_name="films")
    with pytest.raises(TwirpError) as caught:
        await destination(api.EncodedFileOutput(azure=azure), private=False)
    assert caught.value.code == "unimplemented"


async def test_stores_have_their_addresses() -> None:
    azure = api.AzureBlobUpload(account_name="house", account_key="AAAA", container_name="films")
    alibaba = api.AliOSSUpload(bucket="films", access_key="a", secret="b", region="oss-cn-hangzhou")
    outputs = [api.EncodedFileOutput(azure=azure), api.EncodedFileOutput(aliOSS=alibaba)]
    found = [await destination(output, private=False) for output in outputs]
    assert [one.url for one in found if one is not None] == [
        "https://house.blob.core.windows.net/films/",
        "https://films.oss-cn-hangzhou.aliyuncs.com/",
    ]


def test_no_credentials_are_shown() -> None:
    google, azure = api.GCPUpload(credentials="{key}", bucket="b"), api.AzureBlobUpload(account_key="hidden")
    outputs = [
        api.EncodedFileOutput(filepath="f", s3=api.S3Upload(access_key="hidden", secret="hidden", bucket="b")),
        api.EncodedFileOutput(gcp=google),
        api.EncodedFileOutput(azure=azure),
    ]
    shown = redacted(api.RoomCompositeEgressRequest(room_name="r", file_outputs=outputs))
    assert "hidden" not in str(shown) and "{key}" not in str(shown)
    assert (shown.file_outputs[0].s3.bucket, shown.file_outputs[0].filepath) == ("b", "f")
    assert outputs[0].s3.secret == "hidden"
