"""Plain transports over the node API: FFmpeg sends and receives, with and without SRTP; refusals; limits."""

import asyncio
import base64
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pylibsrtp import Policy

from parley_client import Room
from parley_client.srtp_session import SrtpSession
from sfu.api import signaling
from sfu.formats.rtp import RtpPacket, serialize
from tests.sfu.rooms.stage import KEYFRAME
from tests.sfu.server.harness import SECRET, Host, client, host
from tests.support.pipelines import Pipelines
from tests.support.waiting import eventually

FFMPEG = str(Path(__file__).with_name("ffmpeg_rtp.py"))
LOOPBACK = ("127.0.0.0/8",)
KEY = base64.b64encode(bytes(range(30))).decode()


class NodeApi:
    """The node API as control calls it."""

    def __init__(self, host: Host, session: aiohttp.ClientSession) -> None:
        self._url = f"{host.http}/node/v1/rooms/r/transports"
        self._session = session

    async def open(self, status: int = 201, **wish: Any) -> dict[str, Any]:
        async with self._session.post(self._url, json=wish) as answer:
            body: dict[str, Any] = await answer.json()
            assert answer.status == status, body
            return body

    async def list(self) -> list[dict[str, Any]]:
        async with self._session.get(self._url) as answer:
            found: list[dict[str, Any]] = (await answer.json())["transports"]
            return found

    async def close(self, transport: str) -> int:
        async with self._session.delete(f"{self._url}/{transport}") as answer:
            return answer.status


@asynccontextmanager
async def node_api(tmp_path: Path, **changes: Any) -> AsyncIterator[tuple[Host, NodeApi]]:
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with (
        host(tmp_path, **({"plain_networks": LOOPBACK} | changes)) as h,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        yield h, NodeApi(h, session)


class Ffmpeg(Pipelines):
    """Processes of FFmpeg that end with the test."""

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await self.run(sys.executable, FFMPEG, *arguments)

    async def decoded(self, process: asyncio.subprocess.Process) -> list[float]:
        """Return the means that a receiver prints."""
        async with asyncio.timeout(40):
            out, _ = await process.communicate()
        means: list[float] = json.loads(out)
        return means


@pytest.fixture
async def ffmpeg() -> AsyncIterator[Ffmpeg]:
    entry = Ffmpeg()
    yield entry
    await entry.stop()


def free_port() -> int:
    """A port with a free one behind it, for RTCP."""
    for _ in range(100):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            if port % 2 == 0:
                return port
    raise AssertionError("no two free ports")


TRACKS = [
    {"source": "camera", "codec": "VP8", "payload_type": 96},
    {"source": "microphone", "codec": "opus", "payload_type": 97},
]


@pytest.mark.parametrize("protected", [False, True])
async def test_ffmpeg_sends_and_ffmpeg_receives(tmp_path: Path, ffmpeg: Ffmpeg, protected: bool) -> None:
    srtp = {"srtp": {"suite": "AES_CM_128_HMAC_SHA1_80", "key": KEY}} if protected else {}
    async with node_api(tmp_path) as (h, api):
        opened = await api.open(direction="receive", participant="cam", name="Camera", tracks=TRACKS, **srtp)
        port = str(opened["port"])
        key = [KEY] if protected else []
        await ffmpeg.start("send", port, "60", "video", "96", *key)
        await ffmpeg.start("send", port, "60", "audio", "97", *key)
        await eventually(lambda: all(up.streams for up in h.node.rooms["r"].uptracks.values()), 30)
        receivers = []
        for kind, source, frames in (("video", "camera", 40), ("audio", "microphone", 50)):
            wish = {"of": "cam", "source": source, "address": "127.0.0.1", "port": free_port()}
            wish["keyframe_seconds"] = 1
            sending = await api.open(direction="send", participant=f"ffmpeg-{kind}", **wish, **srtp)
            sdp = tmp_path / f"{kind}.sdp"
            sdp.write_text(sending["sdp"])
            receivers.append(await ffmpeg.start("receive", str(sdp), str(frames)))
        images, sounds = [await ffmpeg.decoded(receiver) for receiver in receivers]
        assert len({round(mean) for mean in images}) > 20
        assert sum(sound > 0.05 for sound in sounds) > 30


async def test_others_see_who_publishes_and_who_receives(tmp_path: Path) -> None:
    async with node_api(tmp_path) as (h, api), client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        opened = await api.open(direction="receive", participant="cam", name="Camera", tracks=TRACKS)
        joined = await ann.until(signaling.ParticipantJoined)
        assert (joined.participant.participant, joined.participant.name) == ("cam", "Camera")
        track = (await ann.until(signaling.TrackPublished)).track
        assert (track.participant, track.source.value, track.codec) == ("cam", "camera", "VP8")
        sent = await api.open(
            direction="send", participant="out", track=track.track, address="127.0.0.1", port=5004, payload_type=100
        )
        assert "m=video 5004 RTP/AVPF 100" in sent["sdp"]
        assert {entry["transport"] for entry in await api.list()} == {opened["transport"], sent["transport"]}
        assert await api.close(sent["transport"]) == 204
        assert (await ann.until(signaling.ParticipantLeft)).participant == "out"
        assert await api.close(sent["transport"]) == 404
        await ann.send(signaling.Leave())
        await eventually(lambda: not h.node.rooms)  # plain transports alone keep no meeting open
        assert await api.list() == []


async def test_there_are_none_unless_the_operator_names_networks(tmp_path: Path) -> None:
    async with node_api(tmp_path, plain_networks=()) as (h, api):
        out = {"direction": "send", "participant": "out", "of": "a", "source": "camera", "port": 5004}
        for wish in (
            out | {"address": "203.0.113.9"},
            {"direction": "receive", "participant": "cam", "tracks": TRACKS},
        ):
            assert (await api.open(403, **wish))["code"] == "transports_off"
        assert not h.node.rooms
        assert await api.list() == []


async def test_refusals(tmp_path: Path) -> None:
    async with node_api(tmp_path, plain_networks=("127.0.0.2/32",), max_transports=2) as (h, api):
        out = {"direction": "send", "participant": "out", "of": "a", "source": "camera", "port": 5004}
        for address in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "0.0.0.0"):
            assert (await api.open(403, **out, address=address))["code"] == "not_permitted"
        for address in ("224.0.0.1", "255.255.255.255", "ff0e::1"):
            assert (await api.open(403, **out, address=address))["code"] == "not_permitted"
        assert (await api.open(400, **out, address="localhost"))["code"] == "bad_message"
        assert not h.node.rooms
        good = out | {"address": "127.0.0.2"}
        for wrong in (
            {"port": 0},
            {"port": 70000},
            {"payload_type": 72},
            {"payload_type": 128},
            {"ssrc": 0},
            {"track": "t-1"},
            {"srtp": {"key": "AAAA"}},
            {"srtp": {"key": "no base64"}},
            {"keyframe_seconds": -1},
            {"surprise": 1},
        ):
            assert (await api.open(400, **(good | wrong)))["code"] == "bad_message"
        assert (await api.open(404, **(good | {"of": None, "source": None, "track": "t-1"})))["code"] == "unknown_track"
        assert not h.node.rooms
        await api.open(**good)
        assert (await api.open(400, **good))["code"] == "bad_message"  # the address is taken
        into = {"direction": "receive", "participant": "in", "tracks": TRACKS}
        for wrong in ({"tracks": []}, {"tracks": [TRACKS[0], TRACKS[0]]}, {"address": "127.0.0.2"}):
            assert (await api.open(400, **(into | wrong)))["code"] == "bad_message"
        opened = await api.open(**into)
        assert (await api.open(503, **into))["code"] == "full"
        assert await api.close(opened["transport"]) == 204
        assert len(h.node.rooms["r"].participants) == 1


async def test_sockets_are_given_back(tmp_path: Path) -> None:
    async with node_api(tmp_path) as (_, api):
        ports = set()
        for number in range(100):
            opened = await api.open(direction="receive", participant=f"p{number}", tracks=TRACKS, rtcp_mux=False)
            assert opened["rtcp_port"] == opened["port"] + 1
            ports.add(opened["port"])
            assert await api.close(opened["transport"]) == 204
        assert len(ports) > 1


async def test_ports_are_those_allowed(tmp_path: Path) -> None:
    first = free_port()
    async with node_api(tmp_path, plain_ports=(first, first + 1)) as (_, api):
        for number in range(2):
            opened = await api.open(direction="receive", participant=f"p{number}", tracks=TRACKS)
            assert first <= opened["port"] <= first + 1
        assert (await api.open(503, direction="receive", participant="p3", tracks=TRACKS))["code"] == "full"


async def test_packets_as_large_as_ethernet_takes_are_cut_for_everyone(tmp_path: Path) -> None:
    """FFmpeg's RTP muxer makes packets of this size by default (`pkt_size`)."""
    async with node_api(tmp_path) as (h, api), Room(h.signaling_url, token=h.control.token("r", "ann")) as ann:
        opened = await api.open(direction="receive", participant="cam", name="Camera", tracks=TRACKS[:1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for seq in range(1, 400):
                payload = KEYFRAME.ljust(1460, b"\0")
                packet = RtpPacket(96, seq, seq * 3000, 5, payload, marker=True)
                sender.sendto(serialize(packet), ("127.0.0.1", opened["port"]))
                await asyncio.sleep(0.03)
                if any(stream.frame_count >= 10 for stream in ann.receiver.streams.values()):
                    break
        (stream,) = (stream for stream in ann.receiver.streams.values() if stream.frame_count >= 10)
        assert stream.packets >= 2 * stream.frame_count
        (listed,) = await api.list()
        assert "oversize" not in listed["tracks"][0]
        assert (await h.metrics())["parley_sfu_packets_split_total"] > 0


async def test_packets_that_only_the_engine_can_read_reach_the_python_client_and_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with node_api(tmp_path) as (h, api), Room(h.signaling_url, token=h.control.token("r", "ann")) as ann:
        opened = await api.open(
            direction="receive",
            participant="cam",
            tracks=TRACKS[:1],
            srtp={"suite": "AES_CM_128_HMAC_SHA1_80", "key": KEY},
        )
        policy = Policy(base64.b64decode(KEY), ssrc_type=Policy.SSRC_ANY_OUTBOUND)
        session = SrtpSession(policy)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for seq in range(1, 400):
                packet = serialize(RtpPacket(96, seq, seq * 3000, 5, KEYFRAME.ljust(1460, b"\0"), marker=True))
                sender.sendto(session.protect(packet), ("127.0.0.1", opened["port"]))
                await asyncio.sleep(0.03)
                if any(stream.frame_count >= 10 for stream in ann.receiver.streams.values()):
                    break
        assert any(stream.frame_count >= 10 for stream in ann.receiver.streams.values())
        (listed,) = await api.list()
        assert listed["tracks"][0]["oversize"] == listed["tracks"][0]["packets"] > 0
        await eventually(lambda: any("sends packets of 1472 bytes" in one.message for one in caplog.records))
        assert (await h.metrics())["parley_sfu_packets_oversize_total"] > 0
