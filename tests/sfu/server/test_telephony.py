"""Telephones on plain transports, over real sockets and with a real transcoder: sound both ways, and its death."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundation.libopus import OpusDecoder
from parley_client import Codec, Room
from sfu.formats.header_extensions import AudioLevel
from sfu.formats.rtp import RtpPacket, is_rtcp, parse
from tests.sfu.server.harness import Host, host
from tests.sfu.server.test_plain_transports import node_api
from tests.sfu.transcoding.sound import TONE, Sound, heard, likeness, pitch, rate_of, spoken
from tests.support.waiting import eventually

PHONES = [("PCMU", Codec.G711_ULAW, 0), ("PCMA", Codec.G711_ALAW, 8), ("G722", Codec.G722, 9)]
SECONDS = 120
_OPUS_RATE = 48_000


@asynccontextmanager
async def playing(send: Callable[[bytes], Any], packets: Iterator[bytes]) -> AsyncIterator[None]:
    """Send a packet every 20 ms until the test has what it wants."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number, packet in enumerate(packets):
            send(packet)
            await asyncio.sleep(max(0.0, begun + (number + 1) / 50 - loop.time()))

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Phone:
    """A UDP socket on loopback."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self.got: list[RtpPacket] = []
        asyncio.get_running_loop().add_reader(self.socket, self._read)

    def _read(self) -> None:
        data = self.socket.recv(2000)
        if not is_rtcp(data):
            self.got.append(parse(data))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    entry = Phone()
    yield entry
    entry.close()


@pytest.fixture
async def listening() -> AsyncIterator[Phone]:
    entry = Phone()
    yield entry
    entry.close()


def newest(frames: list[Any], seconds: float = 1.0) -> Sound:
    """Return the newest frames as a browser hears them."""
    decoder = OpusDecoder(_OPUS_RATE)
    sound = np.frombuffer(b"".join(decoder.decode(frame.data) for frame in frames[-int(seconds * 50) - 10 :]), np.int16)
    return sound[10 * 960 :]


def is_the_tone(sound: Sound, rate: int) -> bool:
    """Most of it is: if the machine was busy, packets were late and the tone continues at another phase."""
    window = rate // 10
    parts = [likeness(sound[start : start + window], rate) for start in range(0, len(sound) - window + 1, window)]
    return abs(pitch(sound, rate) - TONE) <= 10 and float(np.median(parts)) > 0.95


@pytest.mark.parametrize(("name", "codec", "payload_type"), PHONES)
async def test_a_telephone_is_heard(tmp_path: Path, phone: Phone, name: str, codec: Codec, payload_type: int) -> None:
    async with (
        node_api(tmp_path) as (h, api),
        Room(h.signaling_url, token=h.control.token("r", "ann"), keep_frames=True) as ann,
    ):
        track = {"source": "microphone", "codec": name, "payload_type": payload_type}
        opened = await api.open(direction="receive", participant="tel", name="Telephone", tracks=[track])
        (told,) = opened["tracks"]
        await ann.until(lambda: told["track"] in ann.state.tracks, 30)
        assert ann.state.tracks[told["track"]].codec == "opus"
        port = opened["port"]
        packets = spoken(codec, SECONDS * 50, payload_type)
        async with playing(lambda rtp: phone.socket.sendto(rtp, ("127.0.0.1", port)), packets):
            await eventually(lambda: (s := ann.stream_of(told["track"])) is not None and s.frame_count > 100, 60)
            stream = ann.stream_of(told["track"])
            assert stream is not None and stream.codec is Codec.OPUS
            assert is_the_tone(newest(stream.frames), _OPUS_RATE)
            await eventually(lambda: "tel" in h.node.rooms["r"].speakers.loudest(5), 30)
            (listed,) = await api.list()
            assert listed["tracks"][0]["payload_type"] == payload_type
            assert listed["tracks"][0]["packets"] > 100


@asynccontextmanager
async def speaking(h: Host, ann: Room) -> AsyncIterator[str]:
    """Ann speaks a tone; returns her track."""
    (microphone,) = await ann.publish(("microphone", "opus"))
    frames = (parse(rtp) for rtp in spoken(Codec.OPUS, SECONDS * 50, 111))

    def send(frame: bytes) -> None:
        packet = next(frames)
        microphone.send_frame(packet.payload, packet.timestamp, level=AudioLevel(15, True))

    async with playing(send, iter(lambda: b"-", b"")):
        yield microphone.track


@pytest.mark.parametrize(("name", "codec", "payload_type"), PHONES)
async def test_a_telephone_hears(tmp_path: Path, phone: Phone, name: str, codec: Codec, payload_type: int) -> None:
    async with node_api(tmp_path) as (h, api), Room(h.signaling_url, token=h.control.token("r", "ann")) as ann:
        async with speaking(h, ann) as track:
            wish = {"of": "ann", "source": "microphone", "codec": name, "address": "127.0.0.1", "port": phone.port}
            opened = await api.open(direction="send", participant="tel", **wish)
            assert f"a=rtpmap:{payload_type} {name}/8000" in opened["sdp"]
            assert opened["tracks"][0]["track"] == track
            await eventually(lambda: len(phone.got) > 100, 60)
        got = phone.got[-60:]
        assert {(packet.payload_type, packet.ssrc) for packet in got} == {(payload_type, opened["tracks"][0]["ssrc"])}
        assert all((b.timestamp - a.timestamp) & 0xFFFF_FFFF == 160 for a, b in pairwise(got))
        assert all(len(packet.payload) == 160 for packet in got)
        decoded = heard(codec, [b"\x80" + bytes(11) + packet.payload for packet in got])
        assert is_the_tone(decoded[rate_of(codec) // 10 :], rate_of(codec))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_transcoder_that_dies_or_hangs_is_replaced_and_calls_go_on(
    tmp_path: Path, phone: Phone, listening: Phone, how: signal.Signals
) -> None:
    async with (
        node_api(tmp_path) as (h, api),
        Room(h.signaling_url, token=h.control.token("r", "ann")) as ann,
        Room(h.signaling_url, token=h.control.token("r", "bob"), keep_frames=True) as bob,
    ):
        transcoder = h.server.transcoder
        assert transcoder is not None
        track = {"source": "microphone", "codec": "PCMU", "payload_type": 0}
        opened = await api.open(direction="receive", participant="tel", name="Telephone", tracks=[track])
        wish = {"of": "ann", "source": "microphone", "codec": "PCMA", "address": "127.0.0.1", "port": listening.port}
        packets, port, told = spoken(Codec.G711_ULAW, SECONDS * 50, 0), opened["port"], opened["tracks"][0]["track"]
        async with (
            speaking(h, ann) as browser,
            playing(lambda rtp: phone.socket.sendto(rtp, ("127.0.0.1", port)), packets),
        ):
            await api.open(direction="send", participant="earpiece", **wish)
            await eventually(lambda: (s := bob.stream_of(told)) is not None and s.frame_count > 50, 60)
            await eventually(lambda: len(listening.got) > 50, 60)
            before = transcoder.pid
            assert before is not None
            os.kill(before, how)
            await eventually(lambda: transcoder.pid not in {None, before} and h.node.transcoding.is_running, 60)
            stream, direct = bob.stream_of(told), bob.stream_of(browser)
            assert stream is not None and direct is not None
            heard_before, direct_before, phone_before = stream.frame_count, direct.frame_count, len(listening.got)
            await eventually(lambda: stream.frame_count > heard_before + 100, 60)
            await eventually(lambda: len(listening.got) > phone_before + 60, 60)
            assert bob.stream_of(told) is stream
            await eventually(lambda: is_the_tone(newest(stream.frames), _OPUS_RATE), 30)
            assert direct.frame_count > direct_before + 50
            again = listening.got[-50:]
            assert len({packet.ssrc for packet in listening.got}) == 1
            decoded = heard(Codec.G711_ALAW, [b"\x80" + bytes(11) + packet.payload for packet in again])
            assert is_the_tone(decoded, 8000)
            assert all(0 < (b.seq - a.seq) & 0xFFFF <= 2 for a, b in pairwise(listening.got))
            metrics = await h.metrics()
            assert metrics["parley_sfu_transcoder_restarts_total"] == 1
            assert metrics['parley_sfu_transcoder_drops_total{reason="gone"}'] > 0
            assert set(bob.state.participants) == {"ann", "bob", "tel", "earpiece"}


async def test_where_it_is_off_telephones_are_refused_with_the_reason(tmp_path: Path) -> None:
    async with node_api(tmp_path, transcode_sound=False) as (_, api):
        track = {"source": "microphone", "codec": "PCMU", "payload_type": 0}
        refused = await api.open(403, direction="receive", participant="tel", tracks=[track])
        assert refused["code"] == "codec_unsupported"
        wish = {"of": "ann", "source": "microphone", "codec": "G722", "address": "127.0.0.1", "port": 5004}
        refused = await api.open(403, direction="send", participant="tel", **wish)
        assert refused["code"] == "codec_unsupported"


async def test_no_process_is_started_for_nothing(tmp_path: Path) -> None:
    async with host(tmp_path) as h, Room(h.signaling_url, token=h.control.token("r", "ann")) as ann:
        await ann.publish(("microphone", "opus"))
        assert h.server.transcoder is not None and h.server.transcoder.pid is None
