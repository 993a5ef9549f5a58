"""Choice of the pictures of a video stream to decode: the newest, once a second. Pure but for FFmpeg; times are ns.

Frames wait encoded. When a picture is due, decoding starts at the newest waiting keyframe, or else continues where it
stopped, and only the last picture is kept. Other pictures are decoded only if a later one refers to them. Of large
pictures, only keyframes are decoded. After a loss, or if too much is waiting, a stream waits for its next keyframe and
requests one now and then, as for large pictures.
"""

from dataclasses import dataclass

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from inference.analysis.faces import Image
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame, FrameAssembler, Loss

SAMPLE_NS = 1_000_000_000
"""Interval between the pictures of a stream: models take one a second."""
KEYFRAME_NS = 5_000_000_000
FOLLOWED_PIXELS = 640 * 480
"""Pixels above which only keyframes are decoded."""
LONGEST_SIDE = 640
MAX_WAITING = 120
MAX_WAITING_BYTES = 4 << 20
MAX_PIXELS = 4096 * 4096
_DECODERS = {Codec.VP8: "vp8", Codec.VP9: "libvpx-vp9", Codec.H264: "h264", Codec.AV1: "libdav1d"}
CODECS = {"VP8": Codec.VP8, "VP9": Codec.VP9, "H264": Codec.H264, "AV1": Codec.AV1}


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, scaled down to LONGEST_SIDE, and the time of its frame's arrival."""

    image: Image
    arrival: int


class TrackPictures:
    """One video stream. Raises ValueError for a codec that is not decoded."""

    def __init__(self, codec: str, fmtp: str = "") -> None:
        known = CODECS.get(codec)
        if known is None:
            raise ValueError(f"{codec} is not decoded")
        self._assembler = FrameAssembler(known, fmtp=fmtp)
        decoder = av.CodecContext.create(_DECODERS[known], "r")
        assert isinstance(decoder, VideoCodecContext)
        self._decoder = decoder
        self._decoder.thread_count = 1
        self._waiting: list[Frame] = []
        self._bytes = 0
        self._following = False
        self._keyframes_alone = False
        self._silent = False
        self._sampled = -SAMPLE_NS
        self._asked = -KEYFRAME_NS
        self.skipped = 0
        """Number of frames that were never decoded."""
        self.undecodable = 0

    def push(self, ext_seq: int, arrival: int, rtp: bytes) -> None:
        """Add a packet; raises ValueError if it is not RTP."""
        self._silent = False
        self._take(self._assembler.push(ext_seq, arrival, rtp))

    def missed(self, first_ext_seq: int, packets: int) -> None:
        """Skip packets that the sfu never received."""
        self._take(self._assembler.missed(first_ext_seq, packets))

    def wants_keyframe(self, now: int) -> bool:
        """Return whether a keyframe should be requested, and count it as requested.

        Always False while no packets arrive.
        """
        if self._silent:
            return False
        stuck = not self._following and not self._waiting
        due = now - self._sampled >= KEYFRAME_NS
        if (stuck or (self._keyframes_alone and due)) and now - self._asked >= KEYFRAME_NS:
            self._asked, self._silent = now, True
            return True
        return False

    def sample(self, now: int) -> Picture | None:
        """Return the newest picture, or None if none is due or available."""
        self._take(self._assembler.flush(now))
        if now - self._sampled < SAMPLE_NS or not self._waiting:
            return None
        frames, self._waiting, self._bytes = self._waiting, [], 0
        newest: VideoFrame | None = None
        arrival = 0
        for frame in frames:
            try:
                decoded = self._decoder.decode(av.Packet(frame.data))
            except av.FFmpegError:
                self.undecodable += 1
                self._lose_track()
                break
            if decoded:
                newest, arrival = decoded[-1], frame.arrival
        if newest is None:
            return None
        self._sampled = now
        self._keyframes_alone = newest.width * newest.height > FOLLOWED_PIXELS
        return Picture(scaled(newest), arrival)

    def _take(self, items: list[Frame | Loss]) -> None:
        for item in items:
            if isinstance(item, Loss):
                if item.keyframe_needed:
                    self._lose_track()
            elif item.keyframe and item.width * item.height <= MAX_PIXELS:
                self._forget()
                self._keep(item)
                self._following = True
            elif self._following and not self._keyframes_alone:
                self._keep(item)
            else:
                self.skipped += 1

    def _keep(self, frame: Frame) -> None:
        self._waiting.append(frame)
        self._bytes += len(frame.data)
        if len(self._waiting) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self._lose_track()

    def _forget(self) -> None:
        self.skipped += len(self._waiting)
        self._waiting, self._bytes = [], 0

    def _lose_track(self) -> None:
        """Skip everything before the next keyframe."""
        self._forget()
        self._following = False


def scaled(frame: VideoFrame) -> Image:
    """Return the frame as RGB, scaled down to LONGEST_SIDE. Frames above MAX_PIXELS were refused before."""
    scale = min(1.0, LONGEST_SIDE / max(frame.width, frame.height))
    width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
    return np.ascontiguousarray(frame.reformat(width, height, "rgb24").to_ndarray())
