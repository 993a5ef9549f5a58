"""Our publisher of a camera in three simulcast layers and a sound, from frames encoded once.

A browser's output depends on the load of the machine; this publisher sends exactly the given layers at little cost. Its
frames are encoded at a target rate. They restart at the keyframe when one is requested, and otherwise repeat without
it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

import av
import numpy as np

from parley_client import Publication, Room
from parley_client.client_peer import ClientPeer
from parley_client.descriptions import publish_offer, remote_side
from parley_client.peer_endpoint import PeerEndpoint
from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from sfu.formats.extensions import URIS, Extension
from sfu.formats.header_extensions import AudioLevel, write_identifier
from sfu.formats.sdp import parse as parse_sdp

LAYERS = {"q": (320, 180, 150_000, 88), "h": (640, 360, 500_000, 88), "f": (1280, 720, 2_050_000, 51)}
"""Width, height, bits/s, and the contrast for that rate; with a higher one, the encoder runs out of quantizers."""

FRAMES = 60
_RID_ID, _REPAIRED_RID_ID = 10, 11
_FRAME_SECONDS = 1 / 30
_FREQUENCY = 440


@cache
def camera_frames(width: int, height: int, rate: int, contrast: int) -> tuple[bytes, ...]:
    """Encode one cycle of a moving, noisy picture, so that its frames can repeat; the first is the keyframe."""
    context = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.bit_rate = rate
    context.gop_size = 10 * FRAMES
    buffer = str(rate // 1000)
    context.options = {
        "deadline": "realtime", "cpu-used": "16", "lag-in-frames": "0", "error-resilient": "1",
        "max-intra-rate": "2000",
        "minrate": buffer, "maxrate": buffer, "bufsize": buffer, "undershoot-pct": "95",
    }  # fmt: skip
    dice = np.random.default_rng(1)
    coarse = dice.integers(128 - contrast, 128 + contrast, (height // 20, width // 20), dtype=np.uint8)
    picture = np.kron(coarse, np.ones((20, 20), dtype=np.uint8))
    frames = []
    for number in range(FRAMES):
        moved = np.roll(picture, (number * height // FRAMES, number * width // FRAMES), (0, 1)).astype(np.int16)
        luma = np.clip(moved + dice.integers(-6, 7, moved.shape, dtype=np.int16), 16, 235).astype(np.uint8)
        planes = np.vstack([luma, np.full((height // 2, width), 128, np.uint8)])
        image = av.VideoFrame.from_ndarray(planes, "yuv420p")
        image.pts = number
        frames += [bytes(packet) for packet in context.encode(image)]
    return tuple(frames)


@cache
def tone_frames() -> tuple[bytes, ...]:
    """Return a second of a tone, as Opus packets of 20 ms."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "mono", "s16"  # type: ignore[attr-defined]  # audio's
    context.bit_rate = 32_000
    context.options = {"application": "voip", "fec": "1", "packet_loss": "10"}
    time_axis = np.arange(48000 + 960) / 48000
    samples = (8000 * np.sin(2 * np.pi * _FREQUENCY * time_axis)).astype(np.int16)
    frames = []
    for start in range(0, 48000, 960):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], "s16", "mono")
        frame.sample_rate, frame.pts = 48000, start
        frames += [bytes(packet) for packet in context.encode(frame)]
    return tuple(frames)


@dataclass(slots=True)
class Layer(Publication):
    """One encoding of the camera; its packets carry its rid."""

    rid: str = ""

    def _extensions(self, level: object) -> tuple[tuple[int, bytes], ...]:
        return (*Publication._extensions(self, None), (_RID_ID, write_identifier(self.rid)))


@dataclass(slots=True)
class LayeredCamera:
    """The layers of the camera; those whose rids are in `resting` are not sent."""

    layers: dict[str, Layer]
    track: str = ""
    resting: set[str] = field(default_factory=set)
    _position: dict[str, int] = field(default_factory=dict)
    _answered: dict[str, int] = field(default_factory=dict)

    def send(self, timestamp: int) -> None:
        for rid, layer in self.layers.items():
            if rid in self.resting:
                continue
            frames = camera_frames(*LAYERS[rid])
            position = self._position.get(rid, 0)
            if layer.keyframe_requests > self._answered.get(rid, 0):
                self._answered[rid] = layer.keyframe_requests
                position = 0
            layer.send_frame(frames[position], timestamp, keyframe=position == 0)
            self._position[rid] = position + 1 if position + 1 < len(frames) else 1


class LayeredRoom(Room):
    """Publisher of a microphone and of a camera in three layers, without the layers that the server says nobody needs.

    `level` is the audio level that it reports.
    """

    camera: LayeredCamera
    microphone: Publication
    level: AudioLevel | None = None

    async def _handle(self, message: signaling.ServerMessage) -> None:
        if isinstance(message, signaling.Layers) and message.track == self.camera.track:
            self.camera.resting = self.camera.layers.keys() - set(message.active)
        await super()._handle(message)

    async def publish_layers(self, rids: tuple[str, ...] = tuple(LAYERS)) -> LayeredCamera:
        """Negotiate, and return when media can be sent."""
        self.microphone = Publication(Source.MICROPHONE, Codec.OPUS, "0", self._cname, self._sequence, self._send_media)
        layers = {
            rid: Layer(Source.CAMERA, Codec.VP8, "1", self._cname, self._sequence, self._send_media, rid=rid)
            for rid in rids
        }
        self.camera = LayeredCamera(layers)
        self.publications += [self.microphone, *layers.values()]
        peer = ClientPeer(self._certificate)
        sdp = _with_rids(publish_offer(peer.local, [self.microphone.offered, layers[rids[0]].offered], 1), rids)
        tracks = [
            signaling_values.OfferedTrack(mid="0", source=Source.MICROPHONE),
            signaling_values.OfferedTrack(mid="1", source=Source.CAMERA),
        ]
        await self.send(signaling.Offer(peer="publish", sdp=sdp, tracks=tracks))
        answer = await self._answer()
        self.camera.track = next(track.track for track in answer.tracks if track.mid == "1")
        self._publish = PeerEndpoint(peer, self._on_publish_packet)
        await self._publish.open(*remote_side(parse_sdp(answer.sdp), "127.0.0.1"))
        return self.camera

    async def keep_sending(self) -> None:
        """Send in real time until cancelled. Delays on a busy machine are made up for."""
        began = time.monotonic()
        sounds, pictures = tone_frames(), 0
        sent = 0
        while True:
            elapsed = time.monotonic() - began
            while sent * 0.02 <= elapsed:
                self.microphone.send_frame(sounds[sent % len(sounds)], sent * 960, level=self.level)
                sent += 1
            while pictures * _FRAME_SECONDS <= elapsed:
                self.camera.send(pictures * 3000)
                pictures += 1
            await asyncio.sleep(0.005)


def _with_rids(sdp: str, rids: tuple[str, ...]) -> str:
    """Replace the SSRCs of the camera with its rids."""
    head, video = sdp.split("m=video", 1)
    kept = [line for line in video.split("\r\n") if line and not line.startswith(("a=ssrc", "a=ssrc-group"))]
    kept += [
        f"a=extmap:{_RID_ID} {URIS[Extension.RID]}",
        f"a=extmap:{_REPAIRED_RID_ID} {URIS[Extension.REPAIRED_RID]}",
        *(f"a=rid:{rid} send" for rid in rids),
        f"a=simulcast:send {';'.join(rids)}",
    ]
    return f"{head}m=video" + "\r\n".join(kept) + "\r\n"


@contextlib.asynccontextmanager
async def layered_publisher(
    signaling_url: str, token: str, rids: tuple[str, ...] = tuple(LAYERS)
) -> AsyncIterator[LayeredRoom]:
    """Run a publisher that sends until the end."""
    for rid in rids:
        camera_frames(*LAYERS[rid])
    async with LayeredRoom(signaling_url, token=token) as room:
        await room.publish_layers(rids)
        sending = asyncio.create_task(room.keep_sending())
        try:
            yield room
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
