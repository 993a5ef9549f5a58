"""The jitter buffer of one stream: takes packets as they come, and gives samples at a steady pace. Sans-IO.

A packet is due at the least transit time of the last seconds, plus a delay that covers nearly all of the jitter in
them. Audio that runs behind or ahead of this plan is shortened or lengthened by cross-fading pieces of 5 ms, which also
levels out clocks that drift. Small gaps are concealed; after longer ones, silence lasts until the next packet is due.
Times are seconds of one clock.
"""

from collections import Counter, deque

import numpy as np

from phone.media.audio_codecs import Decoder, Samples
from sfu.formats.unwrap import Unwrapper

_WINDOW = 250
_COVERED = 0.97
_MARGIN, _LEAST_DELAY, _MOST_DELAY = 0.01, 0.02, 0.3
_BEHIND, _AHEAD = 0.03, 0.003
_CONCEALED = 0.06
_MOST_PACKETS = 100
_JUMP = 5.0
_PIECES = 200
"""Pieces per second by which audio is shortened or lengthened."""


class Playout:
    """The buffer; `clock` is the rate of timestamps, `rate` that of samples.

    `drops` counts packets by the reason why they were not played: late, full, undecodable.
    """

    def __init__(self, decoder: Decoder, clock: int, rate: int) -> None:
        self.drops: Counter[str] = Counter()
        self.concealed = 0
        """Samples that were made up."""
        self.delay = _LEAST_DELAY
        """The delay beyond the least transit time, in seconds."""
        self._decoder = decoder
        self._clock, self._rate = clock, rate
        self._restart()

    def _restart(self) -> None:
        self._unwrap = Unwrapper(32)
        self._packets: dict[int, bytes] = {}
        self._transits: deque[float] = deque(maxlen=_WINDOW)
        self._least = 0.0
        self._next = 0.0  # the timestamp after the audio that was decoded or made up
        self._is_playing = False
        self._has_played = False
        self._lost = 0.0
        self._sound: Samples = np.zeros(0, np.int16)

    def push(self, timestamp: int, payload: bytes, now: float) -> None:
        """Take a packet."""
        newest = self._unwrap.newest
        at = self._unwrap.unwrap(timestamp)
        if newest is not None and abs(at - newest) > _JUMP * self._clock + self._pause(now, newest):
            self._restart()
            at = self._unwrap.unwrap(timestamp)
        if self._has_played and at < self._next - self._clock / 1000:
            self.drops["late"] += 1
        elif len(self._packets) >= _MOST_PACKETS:
            self.drops["full"] += 1
        else:
            self._packets[at] = payload
        self._transits.append(now - at / self._clock)
        if len(self._transits) < 50 or at % 8 == 0:
            self._measure()

    def _pause(self, now: float, newest: int) -> float:
        """Return the timestamps that have passed since the newest packet, by its transit time."""
        return max(0.0, (now - self._least) * self._clock - newest) if self._transits else 0.0

    def _measure(self) -> None:
        ordered = sorted(self._transits)
        self._least = ordered[0]
        jitter = ordered[min(int(len(ordered) * _COVERED), len(ordered) - 1)] - self._least
        self.delay = min(max(jitter + _MARGIN, _LEAST_DELAY), _MOST_DELAY)

    def _due(self, timestamp: float) -> float:
        return self._least + timestamp / self._clock + self.delay

    def pull(self, count: int, now: float) -> Samples | None:
        """Return the next `count` samples; None if the stream is silent. Call it at the pace of the samples."""
        if not self._is_playing and not self._begin(now):
            return self._rest(count)
        piece = self._rate // _PIECES
        wanted = count
        if len(self._sound) < count:  # the next packet is needed now: is it due?
            behind = now - self._due(self._next)
            if behind > _BEHIND:
                wanted = count + piece
            elif behind < -_AHEAD:
                wanted = count - piece
        while len(self._sound) < wanted and self._is_playing:
            self._fill(wanted - len(self._sound))
        if not self._is_playing:
            return self._rest(count)
        found, self._sound = self._sound[:wanted], self._sound[wanted:]
        if wanted > count:
            found = _shortened(found, piece)
        elif wanted < count:
            found = _lengthened(found, piece)
        return found

    def _begin(self, now: float) -> bool:
        """Start to play if the first packet is due."""
        if not self._packets:
            return False
        first = min(self._packets)
        if now < self._due(first):
            return False
        self._next, self._is_playing, self._has_played, self._lost = first, True, True, 0.0
        return True

    def _rest(self, count: int) -> Samples | None:
        """Return what is left of the audio before a pause."""
        if not len(self._sound):
            return None
        found = np.zeros(count, np.int16)
        found[: len(self._sound)] = self._sound[:count]
        self._sound = self._sound[count:]
        return found

    def _fill(self, wanted: int) -> None:
        """Add the next packet's samples, or made-up ones; stop playing in a pause."""
        first = min(self._packets, default=None)
        ahead = None if first is None else first - self._next
        if first is not None and ahead is not None and ahead <= self._clock / 1000:
            self._decode(first)
            return
        if (ahead is not None and ahead > _CONCEALED * self._clock) or self._lost >= _CONCEALED:
            self._is_playing = False
            return
        count = wanted if ahead is None else min(wanted, max(1, round(ahead * self._rate / self._clock)))
        following = self._packets[first] if first is not None and ahead is not None else None
        if following is not None and ahead is not None:
            count = max(1, round(ahead * self._rate / self._clock))  # all of it: FEC describes the whole frame
        self._sound = np.concatenate((self._sound, self._decoder.conceal(count, following)))
        self._next += count * self._clock / self._rate
        self._lost += count / self._rate
        self.concealed += count

    def _decode(self, first: int) -> None:
        payload = self._packets.pop(first)
        try:
            samples = self._decoder.decode(payload)
        except ValueError:
            self.drops["undecodable"] += 1
            self._next = max(self._next, first)
            return
        overlap = round((self._next - first) * self._rate / self._clock)
        if overlap > 0:
            samples = samples[overlap:]
        self._sound = np.concatenate((self._sound, samples))
        self._next += len(samples) * self._clock / self._rate
        self._lost = 0.0


def _shortened(samples: Samples, piece: int) -> Samples:
    """Return samples without one piece in the middle, over which the rest is cross-faded."""
    middle = (len(samples) - piece) // 2
    share = np.linspace(0, 1, piece, dtype=np.float32)
    faded = samples[middle - piece // 2 : middle + piece - piece // 2] * (1 - share)
    faded += samples[middle + piece - piece // 2 : middle + 2 * piece - piece // 2] * share
    head, tail = samples[: middle - piece // 2], samples[middle + 2 * piece - piece // 2 :]
    return np.concatenate((head, faded.astype(np.int16), tail))


def _lengthened(samples: Samples, piece: int) -> Samples:
    """Return samples with one piece in the middle repeated, cross-faded."""
    middle = len(samples) // 2
    share = np.linspace(0, 1, piece, dtype=np.float32)
    faded = samples[middle : middle + piece] * (1 - share) + samples[middle - piece : middle] * share
    return np.concatenate((samples[:middle], faded.astype(np.int16), samples[middle:]))
