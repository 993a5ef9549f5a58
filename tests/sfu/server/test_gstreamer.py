"""GStreamer on plain transports, with and without SRTP: its picture arrives and is sent to another GStreamer."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sfu.server.test_plain_transports import TRACKS, free_port, node_api
from tests.support.pipelines import Pipelines
from tests.support.waiting import eventually

KEYS = {"AES_CM_128_HMAC_SHA1_80": bytes(range(30)), "AEAD_AES_128_GCM": bytes(range(28))}
CIPHERS = {
    "AES_CM_128_HMAC_SHA1_80": ("aes-128-icm", "hmac-sha1-80"),
    "AEAD_AES_128_GCM": ("aes-128-gcm", "null"),
}
WIDTH, HEIGHT, FRAMES = 320, 180, 40


class Gstreamer(Pipelines):
    """Pipelines that end with the test."""

    async def start(self, *pipeline: str) -> asyncio.subprocess.Process:
        return await self.run("gst-launch-1.0", "-q", *" ! ".join(pipeline).split())


@pytest.fixture
async def gstreamer() -> AsyncIterator[Gstreamer]:
    entry = Gstreamer()
    yield entry
    await entry.stop()


def protection(suite: str | None) -> list[str]:
    if suite is None:
        return []
    cipher, authentication = CIPHERS[suite]
    return [
        f"srtpenc key={KEYS[suite].hex()} rtp-cipher={cipher} rtcp-cipher={cipher} "
        f"rtp-auth={authentication} rtcp-auth={authentication}"
    ]


def caps(suite: str | None, ssrc: int) -> str:
    media = "media=video,clock-rate=90000,encoding-name=VP8,payload=96"
    if suite is None:
        return f"application/x-rtp,{media}"
    cipher, authentication = CIPHERS[suite]
    return (
        f"application/x-srtp,{media},ssrc=(uint){ssrc},srtp-key=(buffer){KEYS[suite].hex()},"
        f"srtp-cipher=(string){cipher},srtcp-cipher=(string){cipher},"
        f"srtp-auth=(string){authentication},srtcp-auth=(string){authentication}"
    )


@pytest.mark.parametrize("suite", [None, *KEYS])
async def test_gstreamer_sends_and_gstreamer_receives(tmp_path: Path, gstreamer: Gstreamer, suite: str | None) -> None:
    key = base64.b64encode(KEYS[suite]).decode() if suite is not None else ""
    srtp = {"srtp": {"suite": suite, "key": key}} if suite is not None else {}
    async with node_api(tmp_path) as (h, api):
        opened = await api.open(direction="receive", participant="cam", tracks=TRACKS[:1], **srtp)
        await gstreamer.start(
            "videotestsrc is-live=true pattern=ball",
            f"video/x-raw,width={WIDTH},height={HEIGHT},framerate=30/1",
            "vp8enc deadline=1 keyframe-max-dist=30",
            "rtpvp8pay pt=96",
            *protection(suite),
            f"udpsink host=127.0.0.1 port={opened['port']}",
        )
        await eventually(lambda: all(up.streams for up in h.node.rooms["r"].uptracks.values()), 30)
        port = free_port()
        wish = {"of": "cam", "source": "camera", "address": "127.0.0.1", "port": port, "ssrc": 77}
        await api.open(direction="send", participant="out", keyframe_seconds=1, payload_type=96, **wish, **srtp)
        receiver = await gstreamer.start(
            f"udpsrc port={port} caps={caps(suite, 77)}",
            *(["srtpdec"] if suite is not None else []),
            "rtpjitterbuffer",
            "rtpvp8depay",
            "vp8dec",
            "videoconvert",
            "video/x-raw,format=GRAY8",
            f"identity eos-after={FRAMES + 1}",
            "fdsink",
        )
        async with asyncio.timeout(40):
            out, _ = await receiver.communicate()
    size = WIDTH * HEIGHT
    images = {out[start : start + size] for start in range(0, len(out) - size + 1, size)}
    assert len(out) >= size * FRAMES
    assert len(images) > FRAMES / 2  # the ball moves
