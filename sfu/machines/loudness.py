"""Loudness of an audio stream, from RFC 6464 audio levels: smoothed over a few syllables, above the noise of the room.

A microphone without noise suppression sends the noise of its room at a steady level. Speech has pauses, so what stays
for seconds is taken for noise, up to a limit: a steady tone may be music.

Runs in the engine, packet by packet; see `sfu.machines.repair.stream_progress`.
"""

from math import exp

SILENCE_LEVEL = 60  # −dBov; quieter is no speech
SMOOTHING_NS = 250_000_000
PACKET_NS = 20_000_000
SPEAKING = 6.0  # dB above silence and noise; from here on it is speech
LOUDEST_NOISE = 12.0  # dB above SILENCE_LEVEL
NOISE_RISES = 1.0  # dB a second; noise falls as fast as the loudness


class Loudness:
    """The loudness of one stream. Levels are in −dBov: 0 is loudest, 127 is silence.

    `loudness` is in dB above silence and the room's `noise`, as of `heard_at`; `spoke_at` is the time of the last
    speech, `voice_level` the level of the newest packet with the voice bit, and `voice_at` its arrival. Times are 0
    before that.
    """

    def __init__(self) -> None:
        self.loudness = self.noise = 0.0
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
        self._follow_noise(target, arrival)
        self._move(max(target - self.noise, 0.0), arrival)
        if self.loudness >= SPEAKING:
            self.spoke_at = arrival

    def _follow_noise(self, target: float, at: int) -> None:
        """Let the noise follow the level (dB above silence): slowly up, quickly down."""
        elapsed = at - self.heard_at
        if elapsed <= 0:
            return
        if target < self.noise:
            self.noise = target + (self.noise - target) * exp(-elapsed / SMOOTHING_NS)
        else:
            self.noise = min(self.noise + NOISE_RISES * elapsed / 1e9, target, LOUDEST_NOISE)

    def _move(self, target: float, at: int) -> None:
        """Let the loudness approach `target` for the time since its last update."""
        if at > self.heard_at:
            self.loudness = target + (self.loudness - target) * exp((self.heard_at - at) / SMOOTHING_NS)
            self.heard_at = at
