"""Loudness of an audio stream, from RFC 6464 audio levels: smoothed over a few syllables.

Runs in the engine, packet by packet; see `sfu.machines.repair.stream_progress`.
"""

from math import exp

SILENCE_LEVEL = 60  # −dBov; quieter is no speech
SMOOTHING_NS = 250_000_000
PACKET_NS = 20_000_000
SPEAKING = 6.0  # dB above SILENCE_LEVEL; from here on it is speech


class Loudness:
    """The loudness of one stream. Levels are in −dBov: 0 is loudest, 127 is silence.

    `loudness` is in dB above the threshold of speech, as of `heard_at`; `spoke_at` is the time of the last speech,
    `voice_level` the level of the newest packet with the voice bit, and `voice_at` its arrival. Times are 0 before
    that.
    """

    def __init__(self) -> None:
        self.loudness = 0.0
        self.heard_at = self.spoke_at = self.voice_at = 0
        self.voice_level = 127

    def hear(self, level: int, voice: bool, arrival: int) -> None:
        """Take a packet's level. Without the voice bit, only half of it counts."""
        target = float(max(0, SILENCE_LEVEL - level))
        if voice:
            self.voice_level, self.voice_at = level, arrival
        else:
            target /= 2
        if arrival - self.heard_at > SMOOTHING_NS:  # nothing was sent meanwhile, so it was silent
            self._move(0.0, arrival - PACKET_NS)
        self._move(target, arrival)
        if self.loudness >= SPEAKING:
            self.spoke_at = arrival

    def _move(self, target: float, at: int) -> None:
        """Let the loudness approach `target` for the time since its last update."""
        if at > self.heard_at:
            self.loudness = target + (self.loudness - target) * exp((self.heard_at - at) / SMOOTHING_NS)
            self.heard_at = at
