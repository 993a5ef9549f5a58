"""The images of one live video track: a separate thread decodes its frames, and images are returned by time."""

import contextlib
import queue
import threading
from collections import deque
from fractions import Fraction
from typing import NamedTuple

import av

from recorder.compose.images import DECODERS
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame

_MAX_WAITING = 45
"""More than a second of frames: if so many wait, decoding is too slow and restarts at a keyframe."""
_MAX_IMAGES = 30
_MICROSECOND = Fraction(1, 1_000_000)


class LiveImage(NamedTuple):
    us: int
    image: av.VideoFrame


class _Work(NamedTuple):
    stream: int
    codec: Codec
    us: int
    frame: Frame


class VideoTrack:
    """Decodes frames and keeps images until their time. Call `close` at the end."""

    def __init__(self) -> None:
        self.wants_keyframe = True
        self.dropped = 0
        self._stream = -1
        self._images: deque[LiveImage] = deque(maxlen=_MAX_IMAGES)
        self._shown: LiveImage | None = None
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._decode, name="decoder", daemon=True)
        self._thread.start()

    def frame(self, stream: int, codec: Codec, us: int, frame: Frame) -> None:
        """Queue a frame of a stream; after a loss nothing is decoded until the next keyframe."""
        if self._work.qsize() > _MAX_WAITING:
            self.wants_keyframe = True
        if stream != self._stream:
            if not frame.keyframe:
                return
            self._stream = stream
        if frame.keyframe:
            self.wants_keyframe = False
        elif self.wants_keyframe or not frame.intact:
            self.wants_keyframe = True
            self.dropped += 1
            return
        self._work.put(_Work(stream, codec, us, frame))

    def at(self, us: int) -> LiveImage | None:
        """Return the image at an instant. Times must not decrease."""
        with contextlib.suppress(IndexError):
            while self._images[0].us <= us:
                self._shown = self._images.popleft()
        return self._shown

    def clear(self) -> None:
        """Drop the image, since the publisher turned the camera off."""
        self._images.clear()
        self._shown = None

    def close(self) -> None:
        self._work.put(None)

    def _decode(self) -> None:
        decoder: av.VideoCodecContext | None = None
        stream = -1
        while (work := self._work.get()) is not None:
            if decoder is None or work.stream != stream:
                decoder, stream = _decoder(work.codec), work.stream
            packet = av.Packet(work.frame.data)
            packet.pts, packet.time_base = work.us, _MICROSECOND
            try:
                decoded = decoder.decode(packet)
            except (av.FFmpegError, EOFError):
                continue
            for image in decoded:
                self._images.append(LiveImage(work.us if image.pts is None else image.pts, image))


def _decoder(codec: Codec) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(DECODERS[codec.name.lower()], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoder.flags |= av.codec.context.Flags.low_delay
    return decoder
