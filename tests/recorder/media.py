"""Encoded media with identifiable frames, and their RTP packets as an sfu's sink gets them."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from sfu.api.sink_records import PacketRecord, SenderReportRecord, TrackOpened
from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize
from tests.support.encoders import ENCODERS, ordinary_priority

SECOND = 1_000_000_000
BITS = 12
BLOCK = 32


def draw(number: int, width: int, height: int, flash: bool) -> np.ndarray:
    """Return a grey-scale YUV picture with `number` as a row of black and white squares, and a flash below them."""
    luma = np.full((height, width), 110, np.uint8)
    for bit in range(BITS):
        x = (bit % 6) * BLOCK
        y = (bit // 6) * BLOCK
        luma[y : y + BLOCK, x : x + BLOCK] = 235 if number >> bit & 1 else 16
    luma[2 * BLOCK :, :] = 235 if flash else 40
    chroma = np.full((height // 2, width), 128, np.uint8)
    return np.vstack([luma, chroma])


def read_number(luma: np.ndarray) -> int:
    """Return the number drawn in a decoded picture, from its luma."""
    number = 0
    for bit in range(BITS):
        x = (bit % 6) * BLOCK + BLOCK // 2
        y = (bit // 6) * BLOCK + BLOCK // 2
        number |= int(luma[y - 4 : y + 4, x - 4 : x + 4].mean() > 125) << bit
    return number


def is_flash(luma: np.ndarray) -> bool:
    """Return whether the picture is a flash."""
    return bool(luma[2 * BLOCK + 8 :, :].mean() > 140)


@functools.cache
def video(
    codec: Codec, count: int, fps: int = 30, first: int = 0, width: int = 192, height: int = 128,
    keyframe_every: int = 30, flash_every: int = 0,
) -> tuple[tuple[bytes, bool], ...]:  # fmt: skip
    """Return (data, keyframe) of `count` frames numbered from `first`."""
    name, options = ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, fps)
    context.framerate = Fraction(fps)
    context.bit_rate = 400_000
    context.gop_size = keyframe_every
    context.options = options
    packets = []
    with ordinary_priority():
        for index in range(count):
            flash = bool(flash_every) and index % flash_every == 0
            image = av.VideoFrame.from_ndarray(draw(first + index, width, height, flash), "yuv420p")
            image.pts = index
            packets += context.encode(image)
        packets += context.encode(None)
    return tuple((bytes(packet), packet.is_keyframe) for packet in packets if packet.size)


@functools.cache
def opus(count: int, beep_every: int = 0) -> tuple[tuple[bytes, bool], ...]:
    """Return `count` packets of 20 ms: near silence, with 20 ms of 1 kHz every `beep_every` packets."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate = 48000
    context.layout = "stereo"
    context.format = "flt"
    context.bit_rate = 64000
    context.options = {"application": "lowdelay", "frame_duration": "20"}
    context.open()
    time = np.arange(960) / 48000
    beep = 0.7 * np.sin(2 * np.pi * 1000 * time)
    packets = []
    for index in range(count):
        tone = beep if beep_every and index % beep_every == 0 else np.zeros(960)
        samples = np.repeat(tone.astype(np.float32), 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "flt", "stereo")
        frame.sample_rate = 48000
        frame.pts = index * 960
        packets += context.encode(frame)
    packets += context.encode(None)
    return tuple((bytes(packet), True) for packet in packets[:count])


@dataclass
class Stream:
    """One stream of a synthetic publisher, with its own clocks.

    `start` is when its first frame is captured, in s since the room opened; `rtp_offset`, `ntp_offset` (s) and `drift`
    (of both its clocks against the sfu's, as a fraction) are what a real sender's clocks look like. `delay` is the
    network's, in s. `pauses` are (from index, s): frames from that index on are that much later.
    """

    codec: Codec
    frames: tuple[tuple[bytes, bool], ...]
    fps: float
    track: str
    handle: int
    ssrc: int
    opened_at: int
    participant: str = "alice"
    recording: str = "rec1"
    start: float = 0.0
    rtp_offset: int = 1000
    ntp_offset: float = 0.0
    drift: float = 0.0
    delay: float = 0.01
    first_seq: int = 500
    report_every: float = 1.0
    pauses: tuple[tuple[int, float], ...] = ()
    opened_unix_ms: int = 1_700_000_000_000
    arrivals: dict[int, int] = field(default_factory=dict)

    @property
    def clock_rate(self) -> int:
        return 48000 if self.codec.is_audio else 90000

    def opened(self) -> TrackOpened:
        media = "audio" if self.codec.is_audio else "video"
        return TrackOpened(
            handle=self.handle, room="room1", participant=self.participant, name=self.participant.title(),
            track=self.track, source="microphone" if self.codec.is_audio else "camera", media=media,
            codec=self.codec.name.lower(), clock_rate=self.clock_rate, channels=2 if self.codec.is_audio else 1,
            ssrc=self.ssrc, opened_at=self.opened_at, opened_unix_ms=self.opened_unix_ms, recording=self.recording,
        )  # fmt: skip

    def capture_time(self, index: int) -> float:
        """Return the capture time of frame `index`, in s since the room opened, on the sfu's clock."""
        return self.start + index / self.fps + sum(s for at, s in self.pauses if index >= at)

    def timestamp(self, seconds: float) -> int:
        """Return the RTP timestamp of a time."""
        return self.rtp_offset + round((seconds - self.start) * (1 + self.drift) * self.clock_rate)

    def records(self) -> Iterator[PacketRecord | SenderReportRecord]:
        """Return all packets and reports, with their arrivals, in the order of sending."""
        seq = self.first_seq
        next_report = self.start
        for index, (data, keyframe) in enumerate(self.frames):
            at = self.capture_time(index)
            sent = at + (0.02 if self.codec.is_audio else 0.005)
            arrival = self.opened_at + round((sent + self.delay) * SECOND)
            if at >= next_report:
                yield self.report(at, arrival)
                next_report = at + self.report_every
            payloads = packetize(self.codec, data, keyframe=keyframe, picture_id=index, max_bytes=300)
            for position, payload in enumerate(payloads):
                marker = position == len(payloads) - 1 and not self.codec.is_audio
                packet = rtp.RtpPacket(
                    96, seq & 0xFFFF, self.timestamp(at) & 0xFFFFFFFF, self.ssrc, payload, marker=marker
                )
                self.arrivals[seq] = arrival
                yield PacketRecord(self.handle, seq, arrival + position * 100_000, rtp.serialize(packet))
                seq += 1

    def report(self, at: float, arrival: int) -> SenderReportRecord:
        """Return the sender report sent at `arrival`."""
        sent = (arrival - self.opened_at) / SECOND - self.delay
        ntp = 3_900_000_000 + self.ntp_offset + sent * (1 + self.drift)
        timestamp = self.timestamp(sent) & 0xFFFFFFFF
        return SenderReportRecord(self.handle, self.ssrc, int(ntp * 2**32), timestamp, arrival)
