"""Policy for cutting a stream's segments: pure, consulted before every frame.

A segment begins at a keyframe, or where an earlier segment of the same stream ended. After a loss nothing is written
until a keyframe, which is requested at once, because frames that refer to missing ones cannot be decoded. If the
publisher sends none for ten seconds, writing resumes, because damaged video is better than none. A segment is cut at
the next unrequested keyframe once it is 10 s old. Only after 30 s is a keyframe requested, because it costs every
subscriber bandwidth. A change of resolution or an impossible timestamp cuts at once. (A change of codec or SSRC is a
new stream, which begins a new segment anyway.)
"""

from dataclasses import dataclass
from enum import Enum

from sfu.frames.assembler import Frame

_ASK_AGAIN = 2_000_000_000
PATIENCE = 10_000_000_000
"""The longest time in ns for which pictures are left out because no keyframe comes."""
_MAX_JUMP_SECONDS = 10


class Decision(Enum):
    """A decision about a frame."""

    CONTINUE = "continue"  # into the open segment
    CUT = "cut"  # close the open segment, if any, and begin another with it
    DROP = "drop"  # nothing can be decoded from it


@dataclass(frozen=True, slots=True)
class CutTimes:
    """Ages in ns at which a segment is cut at a keyframe, and at which a keyframe is requested."""

    cut_after: int = 10_000_000_000
    ask_after: int = 30_000_000_000


class SegmentPolicy:
    """The policy of a stream. `resumable`: the stream may begin without a keyframe, because one is on disk."""

    def __init__(self, clock_rate: int, is_audio: bool, times: CutTimes, resumable: bool) -> None:
        self._clock_rate = clock_rate
        self._is_audio = is_audio
        self._times = times
        self._decodable = resumable or is_audio
        self._had_keyframe = resumable
        self._dropped_since: int | None = None
        self._begun_at: int | None = None
        self._size = (0, 0)
        self._timestamp = 0
        self._arrival = 0
        self._wanted = not self._decodable
        self._asked_at: int | None = None

    @property
    def is_open(self) -> bool:
        return self._begun_at is not None

    def decide(self, frame: Frame) -> Decision:
        """Decide what to do with the stream's next frame."""
        if not self._decodable and not frame.keyframe and not self._waited_in_vain(frame):
            self._wanted = True
            return Decision.DROP
        self._decodable = self._had_keyframe = True
        self._dropped_since = None
        if frame.keyframe:
            self._wanted = False
            self._asked_at = None
        decision = self._decide(frame)
        if decision is Decision.CUT:
            self._begun_at = frame.arrival
        if frame.keyframe and not self._is_audio:
            self._size = (frame.width, frame.height)
        self._timestamp, self._arrival = frame.timestamp, frame.arrival
        return decision

    def _decide(self, frame: Frame) -> Decision:
        if self._begun_at is None or self._jumped(frame):
            return Decision.CUT
        if not frame.keyframe:
            return Decision.CONTINUE
        resized = not self._is_audio and self._size not in ((0, 0), (frame.width, frame.height))
        old = frame.arrival - self._begun_at >= self._times.cut_after
        return Decision.CUT if resized or old else Decision.CONTINUE

    def _jumped(self, frame: Frame) -> bool:
        """Return True if the RTP clock went backwards or left the wall clock: the sender restarted or is broken."""
        step = frame.timestamp - self._timestamp
        elapsed = (frame.arrival - self._arrival) * self._clock_rate // 1_000_000_000
        return step < 0 or abs(step - elapsed) > _MAX_JUMP_SECONDS * self._clock_rate

    def _waited_in_vain(self, frame: Frame) -> bool:
        if self._dropped_since is None:
            self._dropped_since = frame.arrival
        return self._had_keyframe and frame.arrival - self._dropped_since >= PATIENCE

    def want_keyframe(self) -> None:
        """Wait for a keyframe, because frames are missing."""
        self._wanted = not self._is_audio
        self._decodable = self._is_audio

    def close(self) -> None:
        """Note that the open segment was closed for another reason (a full disk): the next frame begins a new one."""
        self._begun_at = None

    def keyframe_due(self, now: int) -> bool:
        """Return True if a keyframe should be requested now: every 2 s until one arrives."""
        old = self._begun_at is not None and now - self._begun_at >= self._times.ask_after
        if self._is_audio or not (self._wanted or old):
            return False
        if self._asked_at is not None and now - self._asked_at < _ASK_AGAIN:
            return False
        self._asked_at = now
        return True
