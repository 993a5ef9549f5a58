"""Applications stream a room by LiveKit's API: outputs of its broadcast, whose keys nobody sees again."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import asyncpg
import msgspec
import pytest
from livekit import api

from control.config import ControlConfig
from control.identity.livekit_tokens import signing_keys
from control.store import participants
from foundation.broadcasts import ImageOptions, OutputState
from foundation.film_options import FilmOptions
from foundation.srt_addresses import read_srt_secrets
from tests.control.harness import Client, People, serving
from tests.control.test_broadcasts import LIVE, LOST, begun, desired, told
from tests.support.livekit_client import KEY, KEYS, SECRET

ROOM = "Daily"
URL = "rtmps://live.example.org/app/very-secret-key"
SHOWN = "rtmps://live.example.org/app/{ver...key}"
SRT = "srt://live.example.org:8890?streamid=publish:daily&passphrase=long-secret-key"
OTHER = "rtmp://other.example.org/app/second-secret"
STATUS = api.EgressStatus
PLAYLIST = api.SegmentedFileOutput(filename_prefix="x")


class Stage(NamedTuple):
    host: Client
    meeting: str
    egress: api.egress_service.EgressService


@asynccontextmanager
async def stage(config: ControlConfig) -> AsyncIterator[Stage]:
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada")
    async with serving(config) as server, aiohttp.ClientSession() as session:
        host = await People(session, server).user("ada")
        async with api.LiveKitAPI(server.url, KEY, SECRET) as application:
            room = await application.room.create_room(api.CreateRoomRequest(name=ROOM))
            yield Stage(host, room.sid.removeprefix("RM_"), application.egress)


async def told_kinds(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT kind FROM outbox WHERE kind LIKE 'egress.%' ORDER BY seq")
        stored = await connection.fetch("SELECT request::text FROM livekit_egresses")
    finally:
        await connection.close()
    secret = b"secret-key".hex()
    assert not [row for row in stored if secret in row[0]]
    return [row["kind"].removeprefix("egress.") for row in rows]


def streams(*urls: str, playlists: int = 0) -> api.RoomCompositeEgressRequest:
    return api.RoomCompositeEgressRequest(
        room_name=ROOM,
        layout="grid",
        stream_outputs=[api.StreamOutput(urls=urls)] if urls else [],
        segment_outputs=[PLAYLIST] * playlists,
    )


async def broadcast_of(stage: Stage) -> str:
    state = (await desired(stage.host, stage.meeting)).broadcast
    assert state is not None
    return state.broadcast


async def code(call: Awaitable[object]) -> str:
    with pytest.raises(api.TwirpError) as caught:
        await call
    return str(caught.value.code)


async def test_a_room_is_streamed_changed_and_stopped(config: ControlConfig, dsn: str) -> None:
    async with stage(config) as at:
        await at.host.ok(
            "POST", f"/api/v1/meetings/{at.meeting}/broadcast/outputs", {"kind": "hls", "name": "The host's own"}
        )
        started = await at.egress.start_room_composite_egress(streams(URL, playlists=1))
        assert (started.status, started.room_composite.stream_outputs[0].urls) == (STATUS.EGRESS_STARTING, [SHOWN])
        assert [one.url for one in started.stream_results] == [SHOWN]
        assert started.segment_results[0].live_playlist_location.startswith("/api/v1/live/")
        broadcast = await broadcast_of(at)
        orders = await told(at.host, broadcast)
        assert len(orders.outputs) == 2
        ordered = {one.kind: one for one in orders.outputs}
        assert {kind: one.key for kind, one in ordered.items()} == {"rtmp": "very-secret-key", "hls": ""}
        await told(at.host, broadcast, outputs={ordered["rtmp"].id: LIVE})

        change = api.UpdateStreamRequest(egress_id=started.egress_id, add_output_urls=[OTHER, SRT])
        changed = await at.egress.update_stream(change)
        assert (changed.status, len(changed.stream_results)) == (STATUS.EGRESS_ACTIVE, 3)
        assert "srt://live.example.org:8890?{str...key}" in [one.url for one in changed.stream_results]
        (srt,) = (one for one in (await told(at.host, broadcast)).outputs if one.kind == "srt")
        assert read_srt_secrets(srt.key) == ("publish:daily", "long-secret-key")
        removal = api.UpdateStreamRequest(egress_id=started.egress_id, remove_output_urls=[SRT])
        results = {one.url: one.status for one in (await at.egress.update_stream(removal)).stream_results}
        assert results["srt://live.example.org:8890?{str...key}"] == api.StreamInfo.FINISHED
        unknown = api.UpdateStreamRequest(egress_id=started.egress_id, remove_output_urls=["rtmp://a/b/c"])
        assert await code(at.egress.update_stream(unknown)) == "not_found"
        removal = api.UpdateStreamRequest(egress_id=started.egress_id, remove_output_urls=[SHOWN])
        removed = (await at.egress.update_stream(removal)).stream_results[0]
        assert (removed.status, removed.url, removed.ended_at > 0) == (api.StreamInfo.FINISHED, SHOWN, True)
        assert [one.key for one in (await told(at.host, broadcast)).outputs] == ["", "second-secret"]

        ended = await at.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
        assert ended.status == STATUS.EGRESS_COMPLETE
        assert (await desired(at.host, at.meeting)).broadcast is None
        assert len((await at.host.ok("GET", f"/api/v1/meetings/{at.meeting}/broadcast"))["outputs"]) == 1
        (listed,) = (await at.egress.list_egress(api.ListEgressRequest(room_name=ROOM))).items
        assert listed == ended
        assert not (await at.egress.list_egress(api.ListEgressRequest(active=True))).items
        again = at.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
        assert await code(again) == "failed_precondition"
        assert await told_kinds(dsn) == ["started", "updated", "updated", "updated", "updated", "ended"]


async def test_images_are_counted_listed_and_deleted_with_the_meeting(config: ControlConfig, dsn: str) -> None:
    async with stage(config) as at:
        wanted = api.ImageOutput(capture_interval=5, width=640, filename_prefix="shots/of daily")
        started = await at.egress.start_room_composite_egress(
            api.RoomCompositeEgressRequest(room_name=ROOM, image_outputs=[wanted])
        )
        broadcast = await broadcast_of(at)
        (order,) = (await told(at.host, broadcast)).outputs
        assert order.view.images == ImageOptions(seconds=5, width=640, prefix="of-daily")
        assert order.folder == f"_images/{at.meeting}/{order.id}/"
        state: OutputState = msgspec.structs.replace(LIVE, images=2)
        await told(at.host, broadcast, outputs={order.id: state})
        (listed,) = (await at.egress.list_egress(api.ListEgressRequest(egress_id=started.egress_id))).items
        (result,) = listed.image_results
        path = f"/api/v1/meetings/{at.meeting}/broadcast/images/{order.id}"
        assert (listed.status, result.image_count) == (STATUS.EGRESS_ACTIVE, 2)
        assert result.filename_prefix == f"{path}/of-daily"
        recordings = config.recordings_dir / order.folder
        recordings.mkdir(parents=True)
        for number in range(2):
            (recordings / f"of-daily_0000{number}.jpg").write_bytes(b"jpeg")
        page = await at.host.ok("GET", f"{path}?limit=1")
        assert [one["url"] for one in page["images"]] == [f"{path}/of-daily_00000.jpg"]
        assert len((await at.host.ok("GET", f"{path}?cursor={page['next']}"))["images"]) == 1
        assert await at.host.refused("GET", f"{path}/..%2Fmanifest.json") == (404, "not_found")
        assert await at.host.refused("GET", f"{path.rpartition('/')[0]}/output_of_others") == (404, "not_found")
        await at.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
        await at.host.ok("DELETE", f"/api/v1/meetings/{at.meeting}")
        assert not recordings.exists()


async def test_participants_and_tracks_have_pictures_of_their_own(config: ControlConfig, dsn: str) -> None:
    async with stage(config) as at:
        connection = await asyncpg.connect(dsn)
        person = await participants.with_identity(connection, at.meeting, "ann", "Ann")
        for track, source in (("mic", "microphone"), ("cam", "camera")):
            await connection.execute(
                "INSERT INTO media_streams (meeting_id, participant_id, track, source, codec, published_at)"
                " VALUES ($1, $2, $3, $4, 'x', now())",
                at.meeting,
                person.id,
                track,
                source,
            )
        await connection.close()
        await at.egress.start_room_composite_egress(streams(URL))
        await at.egress.start_participant_egress(
            api.ParticipantEgressRequest(room_name=ROOM, identity="ann", segment_outputs=[PLAYLIST])
        )
        composite = api.TrackCompositeEgressRequest(room_name=ROOM, audio_track_id="TR_mic", video_track_id="TR_cam")
        composite.stream_outputs.append(api.StreamOutput(urls=[OTHER]))
        added = await at.egress.start_track_composite_egress(composite)
        assert "second-secret" not in str(added)
        video = api.TrackEgressRequest(room_name=ROOM, track_id="TR_cam", websocket_url="wss://ear.example.org/x")
        assert await code(at.egress.start_track_egress(video)) == "invalid_argument"
        for url in ("https://ear.example.org", "wss://127.0.0.1/x", "wss://user:word@ear.example.org/"):
            sound = api.TrackEgressRequest(room_name=ROOM, track_id="TR_mic", websocket_url=url)
            assert await code(at.egress.start_track_egress(sound)) == "invalid_argument", url
        sound = api.TrackEgressRequest(
            room_name=ROOM, track_id="TR_mic", websocket_url="wss://ear.example.org/x?token=secret-key"
        )
        told_of = await at.egress.start_track_egress(sound)
        assert told_of.track.websocket_url == "wss://ear.example.org/x?{tok...key}"
        orders = await told(at.host, await broadcast_of(at))
        films = {order.kind + order.key: order.view.film for order in orders.outputs}
        assert films["rtmpvery-secret-key"] is None
        assert films["hls"] == FilmOptions(layout="single", participant=person.id)
        assert films["rtmpsecond-secret"] == FilmOptions(layout="single", tracks=["mic", "cam"])
        assert films["websockettoken=secret-key"] == FilmOptions(layout="single", tracks=["mic"])
        fourth = api.TrackCompositeEgressRequest(room_name=ROOM, video_track_id="TR_cam")
        fourth.segment_outputs.append(PLAYLIST)
        assert await code(at.egress.start_track_composite_egress(fourth)) == "resource_exhausted"


async def test_a_stream_that_never_connects_fails(config: ControlConfig, dsn: str) -> None:
    async with stage(config) as at:
        started = await at.egress.start_room_composite_egress(streams(URL))
        broadcast = await broadcast_of(at)
        (output,) = (await told(at.host, broadcast)).outputs
        for attempts in range(1, 6):
            lost: OutputState = msgspec.structs.replace(LOST, attempts=attempts)
            await told(at.host, broadcast, outputs={output.id: lost})
        (failed,) = (await at.egress.list_egress(api.ListEgressRequest(egress_id=started.egress_id))).items
        assert (failed.status, failed.error) == (STATUS.EGRESS_FAILED, LOST.error)
        (stream,) = failed.stream_results
        assert (stream.status, stream.error, stream.retries) == (api.StreamInfo.FAILED, LOST.error, 5)
        assert (await desired(at.host, at.meeting)).broadcast is None
        assert await told_kinds(dsn) == ["started", "ended"]


async def test_a_hosts_broadcast_is_used_and_stays(config: ControlConfig, dsn: str) -> None:
    async with stage(config) as at:
        broadcast = await begun(at.host, at.meeting, {"kind": "hls", "name": "Web"})
        first = await at.egress.start_room_composite_egress(streams(URL))
        assert len((await told(at.host, broadcast)).outputs) == 2
        await at.egress.stop_egress(api.StopEgressRequest(egress_id=first.egress_id))
        assert len((await told(at.host, broadcast)).outputs) == 1
        second = await at.egress.start_room_composite_egress(streams(URL))
        await at.host.ok("POST", f"/api/v1/meetings/{at.meeting}/end", {})
        (ended,) = (await at.egress.list_egress(api.ListEgressRequest(egress_id=second.egress_id))).items
        assert ended.status == STATUS.EGRESS_COMPLETE
        assert await told_kinds(dsn) == ["started", "ended"] * 2


async def test_what_broadcasts_cannot_do_is_refused(config: ControlConfig) -> None:
    async with stage(config) as at:
        start = at.egress.start_room_composite_egress
        elsewhere, srt, larger = streams(playlists=1), streams(URL), streams(URL)
        elsewhere.segment_outputs[0].s3.bucket = "b"
        srt.stream_outputs[0].protocol = api.StreamProtocol.SRT
        larger.preset = api.EncodingOptionsPreset.H264_1080P_30
        for asked in (srt, elsewhere):
            assert await code(start(asked)) == "invalid_argument"
        assert await code(start(larger)) == "unimplemented"
        assert await code(start(streams(playlists=11))) == "resource_exhausted"
        for url in (
            "rtmp://127.0.0.1/live/key",
            "http://x.example.org/a/b",
            "rtmp://x.example.org/",
            "rtmp://x/k",
            "srt://x",
        ):
            assert await code(start(streams(url))) == "invalid_argument"
        assert await code(start(streams(*(f"rtmp://x.example.org/a/{n}" for n in range(11))))) == "resource_exhausted"
        assert (await desired(at.host, at.meeting)).broadcast is None
