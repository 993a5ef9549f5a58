"""Speech with known words in a publisher's packets, and an sfu's end of the sink socket."""

import asyncio
import contextlib
import ctypes
import gzip
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from foundation.libopus import library
from sfu.api import sink_records
from sfu.api.sink_records import CaptionRecord, CaptionsAvailable, PacketRecord, TrackClosed, TrackOpened
from sfu.formats.rtp import RtpPacket, serialize

SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TRANSCRIPTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
NEEDS = "apt-get install asterisk-core-sounds-en-g722 asterisk-core-sounds-en"
RATE = 16_000
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Prompt:
    name: str
    text: str
    samples: Floats


def read_audio(path: Path, rate: int = RATE) -> Floats:
    """Return a file's sound as mono samples in ±1."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    form = "g722" if path.suffix == ".g722" else None
    with av.open(str(path), format=form) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def prompts(count: int = 30) -> list[Prompt]:
    """Return the wordiest English prompts in Debian's asterisk sounds, without digits or stage directions."""
    assert TRANSCRIPTS.exists() and SOUNDS.exists(), f"test speech is missing: {NEEDS}"
    text = gzip.decompress(TRANSCRIPTS.read_bytes()).decode("utf-8", "replace")
    listed = re.findall(r"^([\w/-]+): (.*)$", text, re.MULTILINE)
    plain = [(n, t) for n, t in listed if not re.search(r"[\[\]()0-9*#]", t) and (SOUNDS / f"{n}.g722").exists()]
    plain.sort(key=lambda entry: (-len(entry[1].split()), entry[0]))
    return [Prompt(name, words, read_audio(SOUNDS / f"{name}.g722")) for name, words in plain[:count]]


def prompt(name: str) -> Prompt:
    text = gzip.decompress(TRANSCRIPTS.read_bytes()).decode("utf-8", "replace")
    words = re.search(rf"^{re.escape(name)}: (.*)$", text, re.MULTILINE)
    assert words is not None
    return Prompt(name, words[1], read_audio(SOUNDS / f"{name}.g722"))


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FIGURES = {str(value): word for value, word in enumerate(_DIGITS)}
_SHORT = {"'re": " are", "'m": " am", "'ve": " have", "'ll": " will", "n't": " not"}


def words(text: str) -> list[str]:
    """Return words for error rates: without case and punctuation, with single digits and contractions written out."""
    plain = text.lower().replace("can't", "can not").replace("cannot", "can not").replace("’", "'")
    for short, long in _SHORT.items():
        plain = plain.replace(short, long)
    return [_FIGURES.get(word, word) for word in re.sub(r"[^\w' ]", " ", plain).split()]


def word_errors(reference: str, heard: str) -> int:
    """Return the insertions, deletions and substitutions (Levenshtein distance on words)."""
    wanted, got = words(reference), words(heard)
    row = list(range(len(got) + 1))
    for index, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], index
        for column, other in enumerate(got, 1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
    return row[-1]


def opus_packets(samples: Floats, rate: int = RATE, *, bit_rate: int = 32_000, **options: str) -> list[bytes]:
    """20 ms Opus packets of mono samples."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "flt"
    encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, 48_000)
    encoder.options = {"application": "voip", "frame_duration": "20"} | options
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000, frame_size=960)
    frame = av.AudioFrame.from_ndarray(samples[None, :].astype(np.float32), format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    packets = [packet for part in frames if part.samples == 960 for packet in encoder.encode(part)]
    return [bytes(packet) for packet in packets]


def dtx_packets(samples: Floats) -> list[bytes]:
    """20 ms Opus packets with discontinuous transmission, which FFmpeg's wrapper of libopus cannot switch on."""
    opus = library()
    opus.opus_encoder_create.restype = ctypes.c_void_p
    opus.opus_encode_float.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int32,
    ]  # fmt: skip
    opus.opus_encoder_ctl.argtypes = [ctypes.c_void_p, ctypes.c_int]
    status = ctypes.c_int()
    encoder = opus.opus_encoder_create(RATE, 1, 2048, ctypes.byref(status))  # OPUS_APPLICATION_VOIP
    assert status.value == 0
    assert opus.opus_encoder_ctl(encoder, 4016, ctypes.c_int32(1)) == 0  # OPUS_SET_DTX
    assert opus.opus_encoder_ctl(encoder, 4002, ctypes.c_int32(20_000)) == 0  # OPUS_SET_BITRATE
    packets = []
    for start in range(0, len(samples) - 319, 320):
        frame = np.ascontiguousarray(samples[start : start + 320], np.float32)
        buffer = ctypes.create_string_buffer(1500)
        size = opus.opus_encode_float(encoder, frame.ctypes.data, 320, buffer, 1500)
        assert size > 0
        packets.append(buffer.raw[:size])
    opus.opus_encoder_destroy.argtypes = [ctypes.c_void_p]
    opus.opus_encoder_destroy(encoder)
    return packets


def rtp(seq: int, timestamp: int, payload: bytes, ssrc: int = 7) -> bytes:
    return serialize(RtpPacket(111, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload))


def track_opened(handle: int = 1, **fields: object) -> TrackOpened:
    values = {
        "handle": handle, "room": "r", "participant": f"p{handle}", "name": "Ada", "track": f"t{handle}",
        "source": "microphone", "media": "audio", "codec": "opus", "clock_rate": 48000, "ssrc": handle,
        "opened_at": time.monotonic_ns(), "opened_unix_ms": time.time_ns() // 1_000_000, "channels": 2,
        "uses": ("captions",),
    }  # fmt: skip
    return TrackOpened(**(values | fields))


@dataclass
class Sfu:
    """The listening end of a sink socket, with all received messages and their times (CLOCK_MONOTONIC ns)."""

    path: Path
    listener: socket.socket
    channel: socket.socket | None = None
    records: list[sink_records.AnyRecord] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def listen(cls, path: Path) -> "Sfu":
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        return cls(path, listener)

    async def serve(self) -> None:
        """Accept one sink after another and record its messages."""
        loop = asyncio.get_running_loop()
        while True:
            self.channel, _ = await loop.sock_accept(self.listener)
            self.channel.setblocking(False)
            self.channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            with contextlib.suppress(ConnectionResetError):  # it disconnected with unread records
                while data := await loop.sock_recv(self.channel, sink_records.MAX_RECORD_BYTES):
                    self.records.append(sink_records.decode(data))
                    self.arrivals.append(time.monotonic_ns())
                    self.changed.set()

    async def send(self, record: sink_records.AnyRecord) -> None:
        assert self.channel is not None
        await asyncio.get_running_loop().sock_sendall(self.channel, sink_records.encode(record))

    async def until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def said(self, kind: type) -> list:
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def available(self) -> CaptionsAvailable | None:
        said = self.said(CaptionsAvailable)
        return said[-1] if said else None

    @property
    def finals(self) -> list[CaptionRecord]:
        return [caption for caption in self.said(CaptionRecord) if caption.final]

    async def play(
        self, handle: int, packets: list[bytes], *, speed: float = 1.0, lost: frozenset[int] = frozenset()
    ) -> None:
        """Send packets at `speed` times real time, with the time of sending as arrival."""
        start = time.monotonic_ns()
        for index, packet in enumerate(packets):
            due = start + int(index * 20_000_000 / speed)
            while (now := time.monotonic_ns()) < due:
                await asyncio.sleep((due - now) / 1e9)
            if index not in lost:
                record = PacketRecord(
                    handle, 1000 + index, time.monotonic_ns(), rtp(1000 + index, 960 * index, packet, handle)
                )
                await self.send(record)

    async def close_track(self, handle: int, reason: str = "unpublished") -> None:
        await self.send(TrackClosed(handle=handle, reason=reason))

    def close(self) -> None:
        self.listener.close()
        if self.channel is not None:
            self.channel.close()


def silence(seconds: float) -> Floats:
    return np.zeros(int(seconds * RATE), np.float32)


def noises(seconds: float = 10) -> Iterator[tuple[str, Floats]]:
    """Return sounds without words, from a fixed seed."""
    random = np.random.default_rng(20_240_501)
    count = int(seconds * RATE)
    time_axis = np.arange(count) / RATE
    white = random.standard_normal(count)
    yield "silence", np.zeros(count, np.float32)
    for level in (0.003, 0.03, 0.2):
        yield f"white {level}", (white * level).astype(np.float32)
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    yield "pink", (pink / np.abs(pink).max() * 0.3).astype(np.float32)
    yield "hum", (0.2 * sum(np.sin(2 * np.pi * 50 * k * time_axis) / k for k in (1, 2, 3, 5))).astype(np.float32)
    clicks = np.zeros(count)
    for at in random.integers(0, count - 400, int(seconds * 5)):
        clicks[at : at + 400] += random.standard_normal(400) * np.exp(-np.arange(400) / 60) * 0.4
    yield "typing", clicks.astype(np.float32)
    notes = random.choice([261.6, 293.7, 329.6, 392.0, 440.0, 523.3], int(seconds * 4))
    tone = np.concatenate([np.sin(2 * np.pi * note * np.arange(RATE // 4) / RATE) for note in notes])
    envelope = np.tile(np.exp(-np.arange(RATE // 4) / 1500), len(notes))
    yield "melody", (tone * envelope * 0.3)[:count].astype(np.float32)
