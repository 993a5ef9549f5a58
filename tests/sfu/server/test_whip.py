"""WHIP and WHEP: FFmpeg publishes and a browser in the room sees it; refusals; the end of a session."""

import asyncio
import sys
from pathlib import Path

import aiohttp

from parley_client import Room
from sfu.api.join_token import Grants, Source
from sfu.formats.codecs import Codec
from sfu.peers.context import Limits
from tests.sfu.rooms.stage import KEYFRAME
from tests.sfu.server.harness import host
from tests.sfu.server.test_call_chromium import join, stage, until_received
from tests.support.chromium import open_page
from tests.support.waiting import eventually

MUXER = str(Path(__file__).with_name("ffmpeg_whip.py"))
AUDIO_SLOTS = Limits().audio_slots


async def test_ffmpeg_publishes_and_a_browser_sees_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as (h, browser, page_url):
        ann = await join(browser, page_url, h, "ann")
        token = h.control.token("r", "camera-car")
        url = f"{h.http}/whip?consent=recording"
        publisher = await asyncio.create_subprocess_exec(sys.executable, MUXER, url, token, "8")
        await eventually(lambda: len(h.node.rooms["r"].uptracks) == 2, 30)
        tracks = {u.source.value: t for t, u in h.node.rooms["r"].uptracks.items()}
        await until_received(ann, tracks["camera"], "frames", 30)
        await until_received(ann, tracks["microphone"], "packets", 50)
        assert h.node.rooms["r"].participants["camera-car"].consents.recording
        bob = await join(browser, page_url, h, "bob")
        await until_received(bob, tracks["camera"], "frames", 5)
        assert await publisher.wait() == 0
        await eventually(lambda: not h.node.rooms["r"].uptracks, 40)


async def test_who_is_there_sees_ffmpeg_from_its_first_frame(tmp_path: Path) -> None:
    """Its only keyframe is the first: with its default, the next would come after 8 s, asked for or not."""
    async with host(tmp_path) as h, Room(h.signaling_url, token=h.control.token("r", "ann")) as ann:
        async with Room(h.signaling_url, token=h.control.token("r", "guest")) as guest:
            (seen,) = await guest.publish((Source.CAMERA, Codec.VP8))  # ann has a slot for video from now on
            await eventually(lambda: len(ann.receiver.streams) == AUDIO_SLOTS + 1, 30)
            seen.send_frame(KEYFRAME, 0, keyframe=True)
            await eventually(lambda: any(stream.frame_count for stream in ann.receiver.streams.values()), 30)
        url, token = f"{h.http}/whip", h.control.token("r", "camera-car")
        publisher = await asyncio.create_subprocess_exec(sys.executable, MUXER, url, token, "3", "250")
        assert await publisher.wait() == 0
        (camera,) = [stream for stream in ann.receiver.streams.values() if stream.kind == "video"]
        await eventually(lambda: camera.frame_count >= 90, 30)
        assert camera.keyframe_count == 2  # with the one before
        assert (await h.metrics())['parley_sfu_drops_total{reason="no_keys"}'] == 0


async def test_a_player_shows_what_is_published(tmp_path: Path) -> None:
    async with stage(tmp_path) as (h, browser, url):
        ann = await join(browser, url, h, "ann")
        await ann.evaluate("publishTracks(['microphone', 'camera'])")
        player = await open_page(browser, url)
        await player.evaluate(PLAY, [f"{h.http}/whep", h.control.token("r", "wall")])
        await player.wait_for_function("() => played() > 20", polling=100)
        assert h.node.rooms["r"].participants["wall"].whep_player is not None
        assert await player.evaluate("remove()") == 200
        assert "wall" not in h.node.rooms["r"].participants


PLAY = """async ([url, token]) => {
  const peer = new RTCPeerConnection();
  peer.addTransceiver('audio', {direction: 'recvonly'});
  peer.addTransceiver('video', {direction: 'recvonly'});
  let frames = 0;
  window.played = () => frames;
  setInterval(async () => (await peer.getStats()).forEach((r) => { frames = r.framesDecoded ?? frames; }), 100);
  await peer.setLocalDescription();
  const headers = {Authorization: `Bearer ${token}`, 'Content-Type': 'application/sdp'};
  const response = await fetch(url, {method: 'POST', headers, body: peer.localDescription.sdp});
  await peer.setRemoteDescription({type: 'answer', sdp: await response.text()});
  const resource = new URL(response.headers.get('Location'), url);
  window.remove = async () => (await fetch(resource, {method: 'DELETE', headers})).status;
}"""


async def test_refusals(tmp_path: Path) -> None:
    async with host(tmp_path) as h, aiohttp.ClientSession() as session:
        url = f"{h.http}/whip"
        sdp = {"Content-Type": "application/sdp"}

        async def post(path: str, token: str | None, body: str, headers: dict[str, str]) -> tuple[int, str]:
            bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
            async with session.post(path, data=body, headers=headers | bearer) as response:
                return response.status, (await response.json())["code"]

        assert await post(url, None, "v=0", sdp) == (401, "bad_token")
        assert await post(url, "nonsense", "v=0", sdp) == (401, "bad_token")
        assert await post(url, h.control.token("r", "a", exp=1), "v=0", sdp) == (401, "expired_token")
        assert await post(f"{url}/other", h.control.token("r", "a"), "v=0", sdp) == (401, "foreign_token")
        assert await post(url, h.control.token("r", "a"), "v=0", sdp) == (400, "offer_refused")
        assert await post(url, h.control.token("r", "a"), "v=0", {"Content-Type": "text/plain"}) == (415, "bad_message")
        viewer = h.control.token("r", "a", grants=Grants(publish=()))
        assert await post(url, viewer, "v=0", sdp) == (403, "publish_not_permitted")
        deaf = h.control.token("r", "a", grants=Grants(subscribe=False))
        assert await post(f"{h.http}/whep", deaf, "v=0", sdp) == (403, "not_permitted")
        assert await post(url, h.control.token("r", "a"), "x" * 300_000, sdp) == (413, "message_too_large")
        unknown = f"{url}?consent=everything"
        assert await post(unknown, h.control.token("r", "a"), "v=0", sdp) == (400, "bad_message")
        async with session.delete(f"{url}/r/unknown") as response:
            assert response.status == 401
        assert not h.node.rooms
        assert (await h.metrics())['parley_sfu_http_refused_total{reason="expired_token"}'] == 1


async def test_the_node_api_needs_the_secret(tmp_path: Path) -> None:
    async with host(tmp_path) as h, aiohttp.ClientSession() as session:
        async with session.put(f"{h.http}/node/v1/rooms/r/desired", data="{}") as response:
            assert response.status == 401
        async with session.get(f"{h.http}/health/ready") as response:
            assert response.status == 200
