"""A room on two real nodes: a camera on each is seen on the other."""

import dataclasses
from pathlib import Path

import aiohttp

from sfu.api import signaling
from tests.sfu.server.harness import SECRET, Host, client, host
from tests.sfu.server.test_plain_transports import LOOPBACK, TRACKS, Ffmpeg, NodeApi, ffmpeg, free_port
from tests.support.waiting import eventually

__all__ = ["ffmpeg"]


async def test_frames_move_from_node_to_node(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "secondary").mkdir()
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with (
        host(tmp_path / "home", node="home", plain_networks=LOOPBACK) as home,
        host(tmp_path / "secondary", node="secondary", plain_networks=LOOPBACK) as secondary,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        url = f"{secondary.http}/node/v1/rooms/r/spill"
        async with session.put(url, json={"node": "home", "url": home.http}) as answer:
            assert answer.status == 204
        near, far = NodeApi(home, session), NodeApi(secondary, session)
        async with (
            client(home, home.control.token("r", "ann")) as ann,
            client(secondary, secondary.control.token("r", "bob")) as bob,
        ):
            await ann.until(signaling.ParticipantJoined, lambda message: message.participant.participant == "bob")
            await bob.until(signaling.ParticipantJoined, lambda message: message.participant.participant == "ann")
            await ann.send(signaling.Chat(text="hello"))
            assert (await bob.until(signaling.Chat)).name == "Ann"
            cameras = {}
            for api, name in ((near, "near-camera"), (far, "far-camera")):
                opened = await api.open(direction="receive", participant=name, tracks=TRACKS[:1])
                await ffmpeg.start("send", str(opened["port"]), "60", "video", "96")
                cameras[name] = opened["tracks"][0]["track"]
            shown = await bob.until(
                signaling.TrackPublished, lambda message: message.track.participant == "near-camera"
            )
            assert shown.track.track == cameras["near-camera"]
            await eventually(lambda: _described(home, 2) and _described(secondary, 2), 30)
            for api, name in ((far, "near-camera"), (near, "far-camera")):
                await _is_decoded(api, name, ffmpeg, tmp_path)
            kinds = secondary.control.kinds()
            assert "RoomOpened" not in kinds
            assert "ParticipantJoined" in kinds
            await bob.send(signaling.Leave())
            await eventually(lambda: not secondary.node.rooms)  # the camera alone keeps no room open
            await ann.until(signaling.TrackUnpublished, lambda message: message.track == cameras["far-camera"])
            assert set(home.node.rooms["r"].participants) == {"ann", "near-camera", "to-far-camera"}


async def _is_decoded(api: NodeApi, camera: str, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Have a node send a camera to FFmpeg, which decodes pictures that brighten."""
    wish = {"of": camera, "source": "camera", "address": "127.0.0.1", "port": free_port()}
    sending = await api.open(direction="send", participant=f"to-{camera}", keyframe_seconds=1, **wish)
    sdp = tmp_path / f"{camera}.sdp"
    sdp.write_text(sending["sdp"])
    means = await ffmpeg.decoded(await ffmpeg.start("receive", str(sdp), "40"))
    assert len({round(mean) for mean in means}) > 20


def _described(where: Host, tracks: int) -> bool:
    uptracks = where.node.rooms["r"].uptracks.values()
    return len(uptracks) == tracks and all(up.streams for up in uptracks)


async def test_the_tie_needs_the_secret(tmp_path: Path) -> None:
    async with host(tmp_path) as h, aiohttp.ClientSession() as session:
        async with session.put(f"{h.http}/node/v1/rooms/r/spill", json={"node": "a", "url": "http://a"}) as answer:
            assert answer.status == 401
        async with session.get(f"{h.http}/node/v1/rooms/r/link?node=a") as answer:
            assert answer.status == 401
        assert not h.node.rooms


async def test_a_tie_that_is_refused_keeps_no_socket(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with host(tmp_path) as h, aiohttp.ClientSession(headers=headers) as session:
        h.node.context.limits = dataclasses.replace(h.node.context.limits, rooms=0)
        held = []
        for _ in range(3):  # the first opens the socket that all links send from
            async with session.ws_connect(f"{h.http}/node/v1/rooms/r/link?node=a") as socket:
                assert (await socket.receive(5)).type is aiohttp.WSMsgType.CLOSE
            held.append(sum(descriptor >= 0 for descriptor in h.server._sockets.filenos()))
        assert held[0] == held[-1]
