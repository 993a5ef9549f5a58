"""The images of one live video track: a separate thread decodes its frames, and images are returned by time.

While a publisher changes layers, a track has two streams. Both are decoded, so no picture is missing whichever ends.
"""

import contextlib
import queue
import threading
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import av

from recorder.compose.images import DECODERS
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame

_MAX_WAITING = 45
"""More than a second of frames: if so many wait, decoding is too slow and restarts at a keyframe."""
_MAX_IMAGES = 30
_BEHIND_US = 200_000
"""The delay behind another stream above which the newer one is not shown: it waits for a keyframe."""
_MICROSECOND = Fraction(1, 1_000_000)


class LiveImage(NamedTuple):
    us: int
    image: av.VideoFrame


class _Work(NamedTuple):
    """A frame to decode; None ends its stream."""

    stream: int
    codec: Codec
    us: int
    frame: Frame | None


@dataclass(slots=True)
class _Stream:
    """A stream of the track, open until all its frames are decoded. `images` are not due yet, `shown` is the latest
    that was.
    """

    codec: Codec
    wants_keyframe: bool = True
    is_open: bool = True
    images: deque[LiveImage] = field(default_factory=lambda: deque(maxlen=_MAX_IMAGES))
    shown: LiveImage | None = None


class VideoTrack:
    """Decodes frames and keeps images until their time. Call `close` at the end."""

    def __init__(self) -> None:
        self._streams: dict[int, _Stream] = {}
        self._shown: LiveImage | None = None
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._decode, name="decoder", daemon=True)
        self._thread.start()

    def open_stream(self, stream: int, codec: Codec) -> None:
        """Begin a stream, of which nothing is decoded before its first keyframe."""
        self._forget_ended()
        self._streams[stream] = _Stream(codec)

    def end_stream(self, stream: int) -> None:
        """End a stream; what has been decoded of it is still shown."""
        self._work.put(_Work(stream, self._streams[stream].codec, 0, None))

    def wants_keyframe(self, stream: int) -> bool:
        """Return True if nothing of the stream is decoded until a keyframe arrives."""
        return self._streams[stream].wants_keyframe

    def await_keyframe(self, stream: int) -> None:
        """Decode nothing of a stream until a keyframe arrives, since frames are missing."""
        self._streams[stream].wants_keyframe = True

    def frame(self, number: int, us: int, frame: Frame) -> None:
        """Queue a frame of a stream; after a loss nothing of it is decoded until its next keyframe."""
        stream = self._streams[number]
        if frame.keyframe:
            stream.wants_keyframe = False
        elif stream.wants_keyframe or not frame.intact or self._work.qsize() > _MAX_WAITING:
            stream.wants_keyframe = True
            return
        self._work.put(_Work(number, stream.codec, us, frame))

    def at(self, us: int) -> LiveImage | None:
        """Return the image at an instant: of the newest stream, unless that is behind. Times must not decrease."""
        for stream in self._streams.values():
            with contextlib.suppress(IndexError):
                while stream.images[0].us <= us:
                    stream.shown = stream.images.popleft()
        newest_first = reversed(self._streams.values())
        shown = [(stream.shown, stream.is_open) for stream in newest_first if stream.shown is not None]
        if shown:
            latest = max(image.us for image, _ in shown)
            self._shown = next(i for i, is_open in shown if i.us >= latest - (_BEHIND_US if is_open else 0))
        self._forget_ended()
        return self._shown

    def clear(self) -> None:
        """Drop the images, since the publisher turned the camera off."""
        for stream in self._streams.values():
            stream.images.clear()
            stream.shown = None
        self._shown = None

    def restart(self) -> None:
        """Drop the images, and decode nothing until keyframes arrive, since frames were left out."""
        self.clear()
        for stream in self._streams.values():
            stream.wants_keyframe = True

    def close(self) -> None:
        self._work.put(None)

    def _forget_ended(self) -> None:
        for number, stream in list(self._streams.items()):
            is_last = stream.shown is not None and stream.shown is self._shown
            if not stream.is_open and not stream.images and not is_last:
                del self._streams[number]

    def _decode(self) -> None:
        decoders: dict[int, av.VideoCodecContext] = {}
        while (work := self._work.get()) is not None:
            stream = self._streams[work.stream]
            if work.frame is None:
                decoders.pop(work.stream, None)
                stream.is_open = False
                continue
            if work.stream not in decoders:
                decoders[work.stream] = _decoder(work.codec)
            packet = av.Packet(work.frame.data)
            packet.pts, packet.time_base = work.us, _MICROSECOND
            try:
                decoded = decoders[work.stream].decode(packet)
            except (av.FFmpegError, EOFError):
                continue
            for image in decoded:
                stream.images.append(LiveImage(work.us if image.pts is None else image.pts, image))


def _decoder(codec: Codec) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(DECODERS[codec.name.lower()], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.flags |= av.codec.context.Flags.low_delay
    return decoder
