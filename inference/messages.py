"""Messages between the inference process and its workers: frames of u32 length and bytes on a Unix stream socket.

A decode worker gets the sink's records unchanged (sfu.api.sink_records). Everything else is a msgpack-encoded
message of this module. 16 kHz mono audio is little-endian signed 16-bit throughout.
"""

import struct
from collections.abc import Iterator

import msgspec

from inference.speech.transcript import Transcript

_LENGTH = struct.Struct("!I")
MAX_FRAME_BYTES = 16 << 20


class WorkerMessage(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    """Base of all messages."""


class Ready(WorkerMessage, tag="ready", frozen=True, kw_only=True):
    """A worker has loaded its models and confined itself; `confined` lists the means (see foundation.confinement)."""

    confined: tuple[str, ...]
    model: str = ""


class Speech(WorkerMessage, tag="speech", frozen=True, kw_only=True):
    """Audio of an utterance: `pcm` follows the audio sent before; the utterance is the first `samples` samples of it.

    `begin` distinguishes the utterances of one handle; `start_ms` and `end_ms` are on the meeting clock. `paused`,
    `final` and `discard` are as in endpointing.Piece.
    """

    handle: int
    begin: int
    start_ms: int
    end_ms: int
    samples: int
    voiced_ms: int
    pcm: bytes
    paused: bool = False
    final: bool = False
    discard: bool = False


class TrackEnded(WorkerMessage, tag="ended", frozen=True, kw_only=True):
    """A decode worker has sent all speech of a closed track."""

    handle: int


class FileProgress(WorkerMessage, tag="progress", frozen=True, kw_only=True):
    """Progress of a file worker. `duration_ms` is the container's, 0 if it has none. `done`: the end was reached."""

    read_ms: int
    duration_ms: int
    done: bool = False


class DecodeCounts(WorkerMessage, tag="counts", frozen=True, kw_only=True):
    """Counters of a decode worker since its last report: milliseconds of sound, and undecoded packets by reason."""

    decoded_ms: int
    voiced_ms: int
    drops: dict[str, int]


class ClipMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A clip to recognise; `prior` is as in whisper.Clip."""

    pcm: bytes
    prior: dict[str, float] | None = None
    language: str | None = None


class Recognise(WorkerMessage, tag="recognise", frozen=True, kw_only=True):
    """Clips with the same window, for a recogniser worker."""

    clips: tuple[ClipMessage, ...]


class Recognised(WorkerMessage, tag="recognised", frozen=True, kw_only=True):
    """The transcripts for a Recognise, in order, and the time they took."""

    transcripts: tuple[Transcript, ...]
    seconds: float


class Judge(WorkerMessage, tag="judge", frozen=True, kw_only=True):
    """Windows of 16 kHz mono audio for a detector worker."""

    windows: tuple[bytes, ...]


class Judged(WorkerMessage, tag="judged", frozen=True, kw_only=True):
    """The probability that each window of a Judge was generated; None for a window with too little voice."""

    scores: tuple[float | None, ...]


class Failed(WorkerMessage, tag="failed", frozen=True, kw_only=True):
    """The worker could not carry out a request."""

    reason: str


class SeenFace(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A face in a picture: its square as fractions of the picture's width and height, and its score.

    Also the probabilities of analysis.mood.EXPRESSIONS and RGB bytes for detectors, both empty unless requested.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    expressions: tuple[float, ...] = ()
    crop: bytes = b""


class PictureSeen(WorkerMessage, tag="picture", frozen=True, kw_only=True):
    """An analysis worker has analysed a picture; `at_ms` is on the meeting clock or the file's."""

    handle: int
    at_ms: int
    faces: tuple[SeenFace, ...]


class VoiceHeard(WorkerMessage, tag="voice", frozen=True, kw_only=True):
    """An analysis worker has analysed the prosody of an utterance (analysis.prosody.Cues, as a mapping)."""

    handle: int
    start_ms: int
    end_ms: int
    cues: dict[str, float | None]


class AskKeyframe(WorkerMessage, tag="keyframe", frozen=True, kw_only=True):
    """An analysis worker cannot decode a stream before its next keyframe."""

    handle: int


class AnalysisCounts(WorkerMessage, tag="looked", frozen=True, kw_only=True):
    """Counters of an analysis worker since its last report; `drops` by reason."""

    pictures: int
    faces: int
    drops: dict[str, int]


AnyMessage = (
    Ready
    | Speech
    | TrackEnded
    | FileProgress
    | DecodeCounts
    | Recognise
    | Recognised
    | Judge
    | Judged
    | Failed
    | PictureSeen
    | VoiceHeard
    | AskKeyframe
    | AnalysisCounts
)
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    """Return a message's frame, length included."""
    return frame(msgspec.msgpack.encode(message))


def decode(data: bytes) -> AnyMessage:
    """Return the message in a frame's content; raises ValueError for anything else."""
    return _decoder.decode(data)


def frame(content: bytes) -> bytes:
    """Return `content` preceded by its length."""
    return _LENGTH.pack(len(content)) + content


class FrameReader:
    """Splitter of a byte stream into the contents of frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes and yield the frames that are complete; raises ValueError for an oversized one."""
        self._buffer += data
        offset = 0
        while len(self._buffer) - offset >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer, offset)
            if size > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {size} bytes announced")
            if len(self._buffer) - offset - _LENGTH.size < size:
                break
            start = offset + _LENGTH.size
            offset = start + size
            yield bytes(self._buffer[start:offset])
        del self._buffer[:offset]
