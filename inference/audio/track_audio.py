"""One audio stream: from a sink's packets to gapless 16 kHz mono samples, as many as the RTP timestamps span.

Lost packets are recovered from the next packet's in-band FEC, else concealed for at most CONCEAL samples, then replaced
with silence. Discontinuous transmission (RFC 7587, section 3.1.3) becomes digital silence: the frames of at most two
bytes that announce it, and the time without packets. Pure but for libopus; times are CLOCK_MONOTONIC ns.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from inference.audio.opus import RTP_CLOCK, SAMPLE_RATE, OpusDecoder, Samples
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame, FrameAssembler, Loss

TICKS = RTP_CLOCK // SAMPLE_RATE
CONCEAL = SAMPLE_RATE // 10
"""Longest concealment in samples: after 100 ms, libopus has faded to noise anyway."""
RESTART = 10 * SAMPLE_RATE
"""Jump of the timestamps beyond which a new timeline begins instead of silence."""
STALL_NS = 500_000_000
"""Time without a packet after which the sender counts as silent."""
_WAIT_NS = 200_000_000
_MAX_WAITING = 64
_DTX_BYTES = 2
_FRAME_UNIT = SAMPLE_RATE * 5 // 2000
_WINDOW_NS = 10_000_000_000


class Span(NamedTuple):
    """Samples from `start` on (16 kHz samples on the stream's timeline).

    `restarted`: not contiguous with the previous span.
    """

    start: int
    samples: Samples
    restarted: bool


class ArrivalClock:
    """Mapping of sample positions to CLOCK_MONOTONIC, based on the least delayed packets of the last 10 to 20 s."""

    def __init__(self) -> None:
        self._best: int | None = None
        self._recent: int | None = None
        self._since = 0

    def observe(self, sample: int, arrival: int) -> None:
        """Add the arrival time of the packet that begins at `sample`."""
        offset = arrival - sample * 1_000_000_000 // SAMPLE_RATE
        if self._best is None or self._recent is None:
            self._best, self._recent, self._since = offset, offset, arrival
        elif arrival - self._since > _WINDOW_NS:
            self._best, self._recent, self._since = self._recent, offset, arrival
        self._recent = min(self._recent, offset)
        self._best = min(self._best, offset)

    def at(self, sample: int) -> int:
        """Return the time at which `sample` arrived, or would have; 0 before the first packet."""
        if self._best is None:
            return 0
        return self._best + sample * 1_000_000_000 // SAMPLE_RATE


class TrackAudio:
    """Decoder and timeline of one Opus stream.

    `undecodable` and `late` count packets that gave no sound. Samples come out in Spans, contiguous except at restarts.
    """

    def __init__(self) -> None:
        self._assembler = FrameAssembler(Codec.OPUS, max_wait=_WAIT_NS, max_packets=_MAX_WAITING)
        self._decoder = OpusDecoder()
        self.clock = ArrivalClock()
        self.undecodable = 0
        self._next: int | None = None
        self._last_arrival = 0
        self._lost = False
        self._silent = True
        self._restarted = True

    @property
    def late(self) -> int:
        """Number of packets that were duplicates or arrived too late."""
        return self._assembler.late_packets

    def push(self, ext_seq: int, arrival: int, rtp: bytes) -> list[Span]:
        """Add a packet; raises ValueError if it is not RTP."""
        self._last_arrival = max(self._last_arrival, arrival)
        return self._spans(self._assembler.push(ext_seq, arrival, rtp))

    def missed(self, first_ext_seq: int, packets: int) -> list[Span]:
        """Stop waiting for packets that the sfu reports as lost."""
        return self._spans(self._assembler.missed(first_ext_seq, packets))

    def advance(self, now: int) -> list[Span]:
        """Give up packets that are too late, and fill a stall with silence up to STALL_NS ago."""
        spans = self._spans(self._assembler.flush(now))
        if self._next is None or now - self._last_arrival < STALL_NS:
            return spans
        elapsed = now - STALL_NS - self.clock.at(self._next)
        missing = min(elapsed * SAMPLE_RATE // 1_000_000_000, RESTART) if elapsed > 0 else 0
        if missing > 0:
            self._silent = True
            spans.append(self._emit(np.zeros(missing, np.int16)))
        return spans

    def drain(self) -> list[Span]:
        """End the stream and return the remaining samples."""
        return self._spans(self._assembler.drain())

    def _spans(self, outcome: Iterable[Frame | Loss]) -> list[Span]:
        spans: list[Span] = []
        for item in outcome:
            if isinstance(item, Loss):
                self._lost = True
            else:
                spans.extend(self._frame(item))
        return spans

    def _frame(self, frame: Frame) -> list[Span]:
        start = frame.timestamp // TICKS
        if self._next is not None and abs(start - self._next) > RESTART:
            self._next = None
            self.clock = ArrivalClock()
            self._decoder = OpusDecoder()
        if self._next is None:
            self._next, self._restarted = start, True
        self.clock.observe(start, frame.arrival)
        spans = [self._emit(filler) for filler in self._fill(start - self._next, frame.data)]
        self._lost = False
        try:
            samples = self._decoder.decode(frame.data)
        except ValueError:
            self.undecodable += 1
            return spans
        self._silent = len(frame.data) <= _DTX_BYTES
        if self._silent:
            samples = np.zeros(len(samples), np.int16)
        overlap = self._next - start
        if overlap < len(samples):
            spans.append(self._emit(samples[max(overlap, 0) :]))
        return spans

    def _fill(self, missing: int, following: bytes) -> list[Samples]:
        """Return `missing` samples before `following`: silence where nothing was sent, else concealment, then FEC."""
        if missing <= 0:
            return []
        if not self._lost or self._silent:
            return [np.zeros(missing, np.int16)]
        fillers: list[Samples] = []
        recoverable = min(missing, SAMPLE_RATE // 50) // _FRAME_UNIT * _FRAME_UNIT
        concealed = min(missing - recoverable, CONCEAL) // _FRAME_UNIT * _FRAME_UNIT
        if concealed:
            fillers.append(self._decoder.conceal(concealed))
        silence = missing - recoverable - concealed
        if silence:
            fillers.append(np.zeros(silence, np.int16))
        if recoverable:
            try:
                fillers.append(self._decoder.recover(following, recoverable))
            except ValueError:
                fillers.append(np.zeros(recoverable, np.int16))
        return fillers

    def _emit(self, samples: Samples) -> Span:
        start = self._next or 0
        self._next = start + len(samples)
        span = Span(start, samples, self._restarted)
        self._restarted = False
        return span
