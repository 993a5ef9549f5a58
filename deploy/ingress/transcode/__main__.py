"""The process that transcodes one stream. It decodes untrusted media, so it has no secrets, files or network.

    python -m ingress.transcode DESCRIPTOR BROKER

exchanges units (foundation.media_units) over the socket DESCRIPTOR. It receives the order, the units of the stream
unless the order has a URL, and requests for keyframes; it sends encoded video and audio, and the stream's state. Over
the socket BROKER it requests content of URLs (ingress.fetching).
"""

import contextlib
import io
import select
import socket
import sys
import time
import wave
from io import BufferedIOBase, RawIOBase
from typing import Any

import av
import msgspec
import numpy as np
from av.stream import Discard

from foundation import confinement, preload
from foundation.failures import describe
from foundation.media_units import Unit, UnitKind, encode, read_blocking
from ingress.transcode.audio import AudioTranscoder
from ingress.transcode.contract import Order, State
from ingress.transcode.fetched_file import Broker
from ingress.transcode.video import VideoTranscoder

_MEMORY_BYTES = 2 << 30
_NICE = 5
_MICROSECONDS = 1_000_000
_LARGEST_GAP_US = 5 * _MICROSECONDS
_NOT_NEEDED = frozenset({"av.__main__"})
_PROBE_LIVE = {"probesize": "500000", "analyzeduration": "700000", "fpsprobesize": "0"}
"""The frame rate is not measured, so the tracks are known once each has had a packet."""
_UNKNOWN = 1 << 16
_MAX_LAG_US = 2 * _MICROSECONDS
_SMALL = 1316 * 4
"""The bytes that FFmpeg reads at once; it waits for all of them."""
_PROBE = {"probesize": "2000000", "analyzeduration": "2000000", "http_persistent": "0"}


class Transcoder:
    """Transcodes one stream from the socket, or from a URL, and writes the result to the socket."""

    def __init__(self, peer: socket.socket, broker: Broker, unbuffered: RawIOBase, order: Order) -> None:
        self._peer = peer
        self._broker = broker
        self._order = order
        # With a URL, the socket is polled, and `select` does not see bytes that a reader has already buffered.
        self._in: BufferedIOBase | RawIOBase = unbuffered if order.url else peer.makefile("rb")
        self._video = VideoTranscoder(order.height)
        self._audio = AudioTranscoder(order.sound)
        self._state = State()
        self._told_skipped = 0

    def run(self) -> None:
        """Transcode until the stream, or the ingress, ends. Raises BrokenPipeError if the ingress is gone."""
        try:
            if self._order.url:
                self._read_url()
            elif self._order.form:
                self._read_content()
            else:
                self._relay()
        except (BrokenPipeError, ConnectionResetError):
            raise
        except (av.FFmpegError, OSError, ValueError) as error:
            self._tell(error=_reason(error))

    def _relay(self) -> None:
        while (unit := read_blocking(self._in)) is not None:
            match unit.kind:
                case UnitKind.VIDEO_SETUP:
                    self._video.configure(unit.data)
                case UnitKind.AUDIO_SETUP:
                    self._audio.configure(unit.data)
                case UnitKind.VIDEO:
                    self._send(self._video.packet(unit.us, unit.data))
                    self._tell_size()
                case UnitKind.AUDIO:
                    self._send(self._audio.packet(unit.us, unit.data))
                case UnitKind.KEYFRAME:
                    self._video.keyframe_wanted = True
                case UnitKind.STATE:
                    pass

    def _read_url(self) -> None:
        with av.open(self._order.url, io_open=self._broker.open, options=_PROBE) as source:
            video, audio = _chosen(source, self._order.height)
            if video is None and audio is None:
                raise ValueError("the URL has neither video nor audio")
            self._tell(video=video is not None, audio=audio is not None)
            clock = _Clock()
            for packet in source.demux([stream for stream in (video, audio) if stream is not None]):
                if packet.dts is None or packet.time_base is None:
                    continue
                due = clock.due(int(packet.dts * packet.time_base * _MICROSECONDS))
                if not self._wait_until(due):
                    return
                with contextlib.suppress(av.InvalidDataError):
                    for frame in packet.decode():
                        self._frame(frame, clock)
        self._tell(ended=True)

    def _read_content(self) -> None:
        """Transcode a container as it arrives."""
        arriving = _Arriving(self._in, self._video)
        with av.open(arriving, format=self._order.form, buffer_size=_SMALL, options=_PROBE_LIVE) as source:
            assert isinstance(source, av.container.InputContainer)
            streams = [stream for stream in _chosen(source, self._order.height) if stream is not None]
            if not streams:
                raise ValueError("the stream has neither video nor audio")
            kinds = {stream.type for stream in streams}
            self._tell(video="video" in kinds, audio="audio" in kinds)
            clock = _Clock()
            for packet in source.demux(streams):
                if packet.dts is not None and packet.time_base is not None:
                    clock.due(int(packet.dts * packet.time_base * _MICROSECONDS))
                    if isinstance(packet.stream, av.VideoStream) and arriving.is_left_out(packet.is_keyframe):
                        self._state = msgspec.structs.replace(self._state, skipped=self._state.skipped + 1)
                        continue
                elif packet.size:
                    continue
                with contextlib.suppress(av.InvalidDataError):
                    for frame in packet.decode():
                        self._frame(frame, clock)
        self._tell(ended=True)

    def _frame(self, frame: Any, clock: "_Clock") -> None:
        if frame.time is None:
            return
        us = clock.media(int(frame.time * _MICROSECONDS))
        if isinstance(frame, av.VideoFrame):
            self._send(self._video.picture(us, frame))
            self._tell_size()
        elif isinstance(frame, av.AudioFrame):
            self._send(self._audio.sound(us, frame))

    def _wait_until(self, due: float) -> bool:
        """Take requests until `due`, on the monotonic clock; return False if ingress has closed the socket."""
        while True:
            left = due - time.monotonic()
            ready, _, _ = select.select([self._peer], [], [], max(0.0, left))
            if not ready:
                return True
            unit = read_blocking(self._in)
            if unit is None:
                return False
            self._video.keyframe_wanted |= unit.kind is UnitKind.KEYFRAME

    def _send(self, units: list[Unit]) -> None:
        for unit in units:
            self._peer.sendall(encode(unit))

    def _tell_size(self) -> None:
        if self._video.size != (self._state.width, self._state.height) or self._state.skipped != self._told_skipped:
            self._told_skipped = self._state.skipped
            self._tell(width=self._video.size[0], height=self._video.size[1])

    def _tell(self, **changes: Any) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)
        self._send([Unit(UnitKind.STATE, False, 0, msgspec.json.encode(self._state))])


class _Arriving(RawIOBase):
    """The content that arrives over the socket, for FFmpeg; requests between it are taken."""

    def __init__(self, source: BufferedIOBase | RawIOBase, video: VideoTranscoder) -> None:
        self._source = source
        self._video = video
        self._kept = b""
        self._lag_us = 0
        self._skipping = False

    def is_left_out(self, keyframe: bool) -> bool:
        """Return True if a packet of video must be skipped, since decoding is too far behind the arrival of content."""
        if self._lag_us > _MAX_LAG_US:
            self._skipping = True
        elif keyframe:
            self._skipping = False
        # Keyframes are always decoded, so that video continues even if decoding never catches up.
        return self._skipping and not keyframe

    def readable(self) -> bool:
        return True

    def read(self, count: int = -1, /) -> bytes:
        while not self._kept:
            unit = read_blocking(self._source)
            if unit is None:
                return b""
            if unit.kind is UnitKind.CONTENT:
                self._kept, self._lag_us = unit.data, time.monotonic_ns() // 1000 - unit.us
            self._video.keyframe_wanted |= unit.kind is UnitKind.KEYFRAME
        data = self._kept if count < 0 else self._kept[:count]
        self._kept = self._kept[len(data) :]
        return data


class _Clock:
    """Relation of a source's timestamps to media time, which begins at 0; large gaps and jumps are removed."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._shift: int | None = None
        self._last = 0

    def due(self, us: int) -> float:
        """Return the monotonic time at which a packet with the decoding time `us` is due."""
        if self._shift is None or abs(us + self._shift - self._last) > _LARGEST_GAP_US:
            elapsed = int((time.monotonic() - self._begun) * _MICROSECONDS)
            self._shift = max(elapsed, self._last) - us
        self._last = us + self._shift
        return self._begun + self._last / _MICROSECONDS

    def media(self, us: int) -> int:
        """Return the media time of a frame with this presentation time."""
        return us + (self._shift or 0)


def _reason(error: Exception) -> str:
    """Return the reason of a failure. FFmpeg's text names the URL, which may have a password."""
    if isinstance(error, av.FFmpegError):
        return error.strerror or type(error).__name__
    return describe(error)


def _chosen(source: Any, height: int) -> tuple[Any, Any]:
    """Return the video stream whose height is closest to `height`, and the best audio stream; discard the others."""
    videos = [one for one in source.streams.video if one.codec_context is not None]
    # A stream that did not begin with a keyframe has no height yet.
    video = min(videos, key=lambda one: abs((one.codec_context.height or _UNKNOWN) - height), default=None)
    audio = source.streams.best("audio", related=video) or next(iter(source.streams.audio), None)
    for stream in source.streams:
        if stream is not video and stream is not audio:
            stream.discard = Discard.all
    if video is not None:
        video.codec_context.thread_count = 1
    return video, audio


def _warm_up() -> None:
    """Load everything that the libraries would load on first use, since a confined process cannot read files."""
    preload.whole_package(av, _NOT_NEEDED)
    audio, video = AudioTranscoder(), VideoTranscoder(180)
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "stereo")
    sound.sample_rate = 44_100
    audio.sound(0, sound)
    video.picture(0, av.VideoFrame(320, 180, "yuv420p"))
    file = io.BytesIO()
    with wave.open(file, "wb") as silence:
        silence.setparams((1, 2, 8000, 0, "NONE", ""))
        silence.writeframes(bytes(1600))
    file.seek(0)
    with av.open(file, "r") as container:
        for frame in container.decode(audio=0):
            frame.to_ndarray()


def main() -> int:
    peer = socket.socket(fileno=int(sys.argv[1]))
    broker = Broker(socket.socket(fileno=int(sys.argv[2])))
    confinement.limit(memory_bytes=_MEMORY_BYTES, nice=_NICE)
    _warm_up()
    confinement.confine()
    unbuffered = peer.makefile("rb", buffering=0)
    order = read_blocking(unbuffered)
    if order is not None:
        transcoder = Transcoder(peer, broker, unbuffered, msgspec.json.decode(order.data, type=Order))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            transcoder.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
