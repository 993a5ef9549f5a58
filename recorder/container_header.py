"""The header of a captured segment: everything before the first cluster, written by FFmpeg's muxer.

FFmpeg knows each codec's CodecPrivate (OpusHead, avcC, av1C). It writes OpusHead only for a stream created with an
encoder, and Firefox rejects a file without it.
"""

import io
from typing import Any

import av

from sfu.formats.codecs import Codec

_FFMPEG_NAMES = {Codec.OPUS: "opus", Codec.VP8: "vp8", Codec.VP9: "vp9", Codec.H264: "h264", Codec.AV1: "av1"}
_AV1_TEMPORAL_DELIMITER = b"\x12\x00"


def recordable(codec: Codec) -> bool:
    """Return True if segments of this codec can be written."""
    return codec in _FFMPEG_NAMES


def segment_suffix(codec: Codec) -> str:
    """Return the suffix of captured segments: WebM if it allows the codec."""
    return ".mkv" if codec is Codec.H264 else ".webm"


def segment_header(codec: Codec, keyframe: bytes, width: int, height: int, channels: int) -> bytes:
    """Return the bytes before the first cluster of a segment that begins with `keyframe`.

    Raises ValueError if the frame lacks what the header needs (for example, an H264 keyframe without SPS).
    """
    sink = _Bytes()
    muxer = "matroska" if codec is Codec.H264 else "webm"
    try:
        with av.open(sink, "w", format=muxer, options={"live": "1"}) as container:
            if codec is Codec.OPUS:
                container.add_stream("libopus", rate=48000, layout="stereo" if channels == 2 else "mono")
            elif codec in (Codec.VP8, Codec.VP9):
                container.add_mux_stream(_FFMPEG_NAMES[codec], width=width, height=height)
            else:
                _add_from_keyframe(container, codec, keyframe)
            container.start_encoding()
            header = bytes(sink.data)
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise ValueError(f"cannot make a {codec.name} header from this frame: {error}") from error
    if not header:
        raise ValueError(f"FFmpeg wrote no header for {codec.name}")
    return header


def _add_from_keyframe(container: Any, codec: Codec, keyframe: bytes) -> None:
    """Add a stream with the parameter sets in the frame, as FFmpeg's demuxer would find them."""
    if codec is Codec.AV1:
        source, demuxer = _AV1_TEMPORAL_DELIMITER + keyframe, "obu"
    else:
        source, demuxer = keyframe, "h264"
    with av.open(io.BytesIO(source), format=demuxer) as template:
        stream = template.streams.video[0]
        if not stream.codec_context.extradata or not stream.codec_context.width:
            raise ValueError(f"{codec.name} keyframe without its parameter sets")
        container.add_stream_from_template(stream, opaque=True)


class _Bytes:
    """A file that can only be appended to, so that FFmpeg reserves no size field to fill in later."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)
