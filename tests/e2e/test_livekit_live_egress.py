"""An application takes pictures of its room, gets a track's sound at a WebSocket, and streams one participant."""

import contextlib
import io
from collections.abc import AsyncIterator

import aiohttp
import av
import numpy as np
from aiohttp import web
from livekit import api
from PIL import Image

from tests.e2e.conftest import Deployment
from tests.support.livekit_client import KEY, SECRET, access_token, livekit_client
from tests.support.waiting import eventually

ROOM = "Sampled"
RATE = 48_000
STATUS = api.EgressStatus


class Listener:
    """A WebSocket server that keeps what it is sent."""

    def __init__(self) -> None:
        self.sound = bytearray()
        self.said: list[str] = []
        self.kind = ""
        self.query = ""

    async def take(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.kind, self.query = request.headers["Content-Type"], request.query_string
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.sound += message.data
            else:
                self.said.append(message.data)
        return socket

    def pitch(self) -> float:
        """Return the strongest frequency of the last half second (Hz), 0 if it is silent."""
        samples = np.frombuffer(bytes(self.sound), "<i2").reshape(-1, 2)[-RATE // 2 :, 0].astype(float)
        if len(samples) < RATE // 2 or np.abs(samples).max() < 1000:
            return 0.0
        return float(np.abs(np.fft.rfft(samples)).argmax()) * 2


@contextlib.asynccontextmanager
async def listening(address: str) -> AsyncIterator[tuple[Listener, str]]:
    listener, application = Listener(), web.Application()
    application.router.add_get("/sound", listener.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, address, 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield listener, f"ws://{address}:{port}/sound?secret=abcdefgh"
    finally:
        await runner.cleanup()


async def test_an_application_gets_pictures_and_sound_while_the_meeting_runs(deployment: Deployment) -> None:
    url = deployment.plain_url
    consents = {"attributes": {"parley.consent": "recording"}}
    async with (
        listening(deployment.network.outer_address) as (listener, target),
        api.LiveKitAPI(url, KEY, SECRET) as server,
        livekit_client(url, access_token("ada", ROOM, **consents)) as ada,
        livekit_client(url, access_token("bob", ROOM, **consents)) as bob,
    ):
        egress = server.egress
        await ada.publish()
        await eventually(lambda: bob.heard and bob.seen, 30)
        (heard,) = bob.heard
        pictures = await egress.start_room_composite_egress(
            api.RoomCompositeEgressRequest(
                room_name=ROOM,
                image_outputs=[
                    api.ImageOutput(capture_interval=1, width=640, filename_prefix="shots/lobby"),
                    api.ImageOutput(
                        capture_interval=2, filename_suffix=api.ImageFileSuffix.IMAGE_SUFFIX_NONE_OVERWRITE
                    ),
                ],
            )
        )
        sound = await egress.start_track_egress(
            api.TrackEgressRequest(room_name=ROOM, track_id=heard, websocket_url=target)
        )
        assert "abcdefgh" not in str(sound)
        stream = await egress.start_participant_egress(
            api.ParticipantEgressRequest(
                room_name=ROOM, identity="ada", segment_outputs=[api.SegmentedFileOutput(filename_prefix="ada")]
            )
        )

        # Each 10 ms begin with the same phase, so the strongest frequency is a multiple of 100 Hz.
        await eventually(lambda: 380 <= listener.pitch() <= 460, 60, lambda: (len(listener.sound), listener.pitch()))
        assert (listener.kind, listener.query, listener.said) == ("audio/x-raw", "secret=abcdefgh", [])

        async def counts() -> list[int]:
            (listed,) = (await egress.list_egress(api.ListEgressRequest(egress_id=pictures.egress_id))).items
            return [result.image_count for result in listed.image_results]

        async def taken() -> bool:
            first, second = await counts()
            return first >= 4 and second >= 1

        await eventually(taken, 60)
        playlist = url + stream.segment_results[0].live_playlist_location
        async with aiohttp.ClientSession() as session:

            async def playable() -> bool:
                async with session.get(playlist) as answer:
                    return answer.status == 200

            await eventually(playable, 60)
        with av.open(playlist, timeout=30) as container:
            frame = next(container.decode(video=0))
            assert (frame.width, frame.height) == (1280, 720)

        track = next(iter(ada.room.local_participant.track_publications.values()))
        track.track.mute()
        await eventually(lambda: listener.said == ['{"muted":true}'], 30)
        track.track.unmute()
        await eventually(lambda: listener.said == ['{"muted":true}', '{"muted":false}'], 30)

        for started in (pictures, sound, stream):
            ended = await egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
            assert ended.status == STATUS.EGRESS_COMPLETE, ended
        (over,) = (await egress.list_egress(api.ListEgressRequest(egress_id=pictures.egress_id))).items
        prefixes = [result.filename_prefix.removeprefix("/api/v1") for result in over.image_results]
        first = Image.open(io.BytesIO(await deployment.admin.download(f"{prefixes[0]}_00003.jpg")))
        assert (first.format, first.size) == ("JPEG", (640, 360))
        assert len(set(first.convert("L").tobytes())) > 10
        latest = Image.open(io.BytesIO(await deployment.admin.download(f"{prefixes[1]}.jpg")))
        assert latest.size == (1280, 720)
        page = await deployment.admin.request("GET", prefixes[0].rpartition("/")[0] + "?limit=2")
        assert [one["name"] for one in page["images"]] == ["lobby_00000.jpg", "lobby_00001.jpg"]
        assert page["next"]
