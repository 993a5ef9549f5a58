"""Audio and video as PyAV frames: encodes frames to send, decodes received ones."""

import time
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from parley_client.publishing import Publication
from parley_client.room import EncodedFrame, Room
from sfu.formats.codecs import Codec

OPUS_RATE = 48_000
_OPUS_SAMPLES = 960  # 20 ms
_VIDEO_RATE = 90_000
_ENCODERS = {
    Codec.VP8: ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1"}),
    Codec.VP9: ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.H264: ("libx264", {"tune": "zerolatency", "preset": "veryfast", "profile": "baseline"}),
}
_DECODERS = {Codec.OPUS: "libopus", Codec.VP8: "vp8", Codec.VP9: "vp9", Codec.H264: "h264", Codec.AV1: "libdav1d"}


class AudioSender:
    """Encodes audio of any format, sample rate and frame size to Opus and sends it at once."""

    def __init__(self, publication: Publication, *, bit_rate: int = 48_000) -> None:
        self._publication = publication
        self._resampler = AudioResampler(format="s16", layout="stereo", rate=OPUS_RATE, frame_size=_OPUS_SAMPLES)
        encoder = av.CodecContext.create("libopus", "w")
        assert isinstance(encoder, AudioCodecContext)
        encoder.sample_rate, encoder.layout, encoder.format = OPUS_RATE, "stereo", "s16"
        encoder.bit_rate = bit_rate
        encoder.time_base = Fraction(1, OPUS_RATE)
        self._encoder = encoder
        self._samples = 0

    def send(self, frame: av.AudioFrame) -> None:
        """Send a frame; a rest of less than 20 ms is sent with the next one."""
        frame.pts = None  # without timestamps, the resampler counts the samples itself
        for piece in self._resampler.resample(frame):
            piece.pts = None
            for packet in self._encoder.encode(piece):
                self._publication.send_frame(bytes(packet), self._samples)
                self._samples += _OPUS_SAMPLES


class VideoSender:
    """Encodes images in the codec of the publication and sends them; new subscribers get a keyframe."""

    def __init__(self, publication: Publication, *, bit_rate: int = 800_000, frames_per_second: int = 30) -> None:
        """Raises ValueError if the codec cannot be encoded here."""
        if publication.codec not in _ENCODERS:
            raise ValueError(f"{publication.codec.name} cannot be encoded here; send encoded frames")
        self._publication = publication
        self._bit_rate = bit_rate
        self._rate = frames_per_second
        self._encoder: VideoCodecContext | None = None
        self._answered = 0
        self._first = 0
        self._last = -1

    def send(self, frame: av.VideoFrame) -> None:
        """Send an image with its timestamp, or the current time if it has none. A new size begins with a keyframe."""
        now = time.monotonic_ns() * 9 // 100_000
        at = now if frame.time is None else round(frame.time * _VIDEO_RATE)
        if self._last < 0:
            self._first = at
        self._last = max(at - self._first, self._last + 1)
        if self._encoder is None or (self._encoder.width, self._encoder.height) != (frame.width, frame.height):
            self._encoder = self._new_encoder(frame.width, frame.height)
        picture = frame.reformat(format="yuv420p")
        picture.pts, picture.time_base = self._last, Fraction(1, _VIDEO_RATE)
        requests = self._publication.keyframe_requests
        picture.pict_type = PictureType.I if requests > self._answered else PictureType.NONE
        self._answered = requests
        for packet in self._encoder.encode(picture):
            self._publication.send_frame(bytes(packet), packet.pts or 0, keyframe=packet.is_keyframe)

    def _new_encoder(self, width: int, height: int) -> VideoCodecContext:
        name, options = _ENCODERS[self._publication.codec]
        encoder = av.CodecContext.create(name, "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, _VIDEO_RATE), Fraction(self._rate)
        encoder.bit_rate = self._bit_rate
        encoder.gop_size = self._rate * 60  # keyframes are sent on request
        encoder.options = options
        return encoder


class Decoder:
    """Decodes the frames of one track, also if its codec changes. Video begins with a keyframe."""

    def __init__(self) -> None:
        self._codec: Codec | None = None
        self._context: av.CodecContext | None = None

    def decode(self, encoded: EncodedFrame) -> Iterator[av.AudioFrame | av.VideoFrame]:
        """Yield the decoded frames of an encoded one; nothing if it cannot be decoded yet."""
        if encoded.codec is not self._codec or self._context is None:
            self._codec = encoded.codec
            self._context = av.CodecContext.create(_DECODERS[encoded.codec], "r")
        if not encoded.intact:
            return
        packet = av.Packet(encoded.data)
        packet.pts = encoded.timestamp
        packet.time_base = Fraction(1, OPUS_RATE if encoded.codec.is_audio else _VIDEO_RATE)
        try:
            decoded = self._context.decode(packet)  # type: ignore[attr-defined]  # of both kinds of contexts
        except av.FFmpegError:
            return
        yield from decoded


async def decoded_frames(room: Room, track: str) -> AsyncIterator[av.AudioFrame | av.VideoFrame]:
    """Yield the decoded frames of a remote track until the connection ends."""
    decoder = Decoder()
    with room.frames(track) as feed:
        room.request_keyframe(track)
        async for encoded in feed:
            for frame in decoder.decode(encoded):
                yield frame
