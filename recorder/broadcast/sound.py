"""The sound of live tracks: decoded on arrival, mixed by capture time, and used to detect the speaker. Positions are
samples since the broadcast's zero.
"""

from collections import deque
from typing import NamedTuple

import av
import numpy as np

from recorder.compose.limiter import Limiter
from recorder.compose.samples import RATE, Samples
from sfu.formats.codecs import Codec

_SLACK = RATE // 50
"""Capture times jitter: sound is shifted only if it would be off by more than 20 ms."""
_MAX_HELD = 4 * RATE
_DECODERS = {
    Codec.OPUS: ("libopus", 48_000),
    Codec.G711_ULAW: ("pcm_mulaw", 8_000),
    Codec.G711_ALAW: ("pcm_alaw", 8_000),
    Codec.G722: ("g722", 16_000),
}
_SMOOTHING_SECONDS = 0.3
_HOLD_SECONDS = 0.7
_AUDIBLE = 1e-5
"""The power (-50 dBFS) above which somebody counts as speaking."""


class AudioTrack:
    """Decoded sound that waits for its time."""

    def __init__(self) -> None:
        self._decoder: av.AudioCodecContext | None = None
        self._codec: Codec | None = None
        self._resampler = _resampler()
        self._expected: int | None = None
        self._held: deque[tuple[int, Samples]] = deque()

    def frame(self, codec: Codec, channels: int, position: int, data: bytes) -> None:
        """Decode a frame that was captured at `position`."""
        if codec not in _DECODERS:
            return
        if self._decoder is None or codec is not self._codec:
            self._decoder, self._codec, self._expected = _decoder(codec, channels), codec, None
            self._resampler = _resampler()
        try:
            decoded = self._decoder.decode(av.Packet(data))
        except (av.FFmpegError, EOFError):
            return
        if self._expected is None or abs(position - self._expected) > _SLACK:
            self._expected = position
        for frame in decoded:
            frame.pts = None
            for resampled in self._resampler.resample(frame):
                samples = np.asarray(resampled.to_ndarray(), np.float32)
                self._held.append((self._expected, samples))
                self._expected += samples.shape[1]
        while self._held and self._held[-1][0] - self._held[0][0] > _MAX_HELD:
            self._held.popleft()

    def add_to(self, window: Samples, start: int) -> float:
        """Add the sound of a window that begins at `start` to the mix; return its mean power."""
        count = int(window.shape[1])
        end, power = start + count, 0.0
        for position, data in self._held:
            if position >= end:
                break
            first, last = max(position, start), min(position + data.shape[1], end)
            if first < last:
                part = data[:, first - position : last - position]
                window[:, first - start : last - start] += part
                power += float(np.square(part).mean()) * (last - first)
        return power / max(1, count)

    def forget(self, position: int) -> None:
        """Drop the sound before a position, since all mixes have it. Late sound is lost."""
        while self._held and self._held[0][0] + self._held[0][1].shape[1] <= position:
            self._held.popleft()


class Heard(NamedTuple):
    """Samples, and their peak level (0 to 1)."""

    samples: Samples
    level: float


class Mixer:
    """The limited mix of all tracks; `speaker` is the current or latest speaker."""

    def __init__(self) -> None:
        self.speaker = ""
        self._limiter = Limiter()
        self._powers: dict[str, float] = {}
        self._louder: tuple[str, float] = "", 0.0

    def mix(self, tracks: list[tuple[str, AudioTrack]], start: int, count: int) -> Heard:
        """Return the next window of sound, without gaps; the first is a little shorter than requested."""
        window: Samples = np.zeros((2, count), np.float32)
        powers: dict[str, float] = {}
        for participant, track in tracks:
            power = track.add_to(window, start)
            powers[participant] = powers.get(participant, 0.0) + power
        self._choose(powers, count / RATE)
        return Heard(self._limiter.process(window), min(1.0, float(np.abs(window).max(initial=0.0))))

    def _choose(self, powers: dict[str, float], seconds: float) -> None:
        """Change the speaker once another person has been the loudest for a while."""
        share = min(1.0, seconds / _SMOOTHING_SECONDS)
        self._powers = {who: (1 - share) * self._powers.get(who, 0.0) + share * now for who, now in powers.items()}
        loudest = max(self._powers, key=lambda who: self._powers[who], default="")
        if not loudest or self._powers[loudest] < _AUDIBLE or loudest == self.speaker:
            self._louder = "", 0.0
            return
        name, since = self._louder
        self._louder = loudest, (since + seconds if name == loudest else seconds)
        if self._louder[1] >= _HOLD_SECONDS or self.speaker not in powers:
            self.speaker, self._louder = loudest, ("", 0.0)


def _decoder(codec: Codec, channels: int) -> av.AudioCodecContext:
    name, rate = _DECODERS[codec]
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = rate
    decoder.layout = "stereo" if codec is Codec.OPUS or channels == 2 else "mono"
    return decoder


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
