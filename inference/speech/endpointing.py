"""Splitting of a stream of speech probabilities into utterances. Pure: chunks in, spans of samples out.

An utterance begins where speech is probable, with some audio before it, so that no onset is lost. It ends after a
pause, and is cut at its quietest recent point if it grows too long for the recogniser's window. A piece with too little
voice is a click or a cough, and is discarded.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
CHUNK = 512
CHUNK_MS = 32


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Settings: speech begins at probability `on` and lasts while it is above `off`; times are in milliseconds."""

    on: float = 0.5
    off: float = 0.35
    lead_ms: int = 320
    pause_ms: int = 608
    tail_ms: int = 192
    least_voice_ms: int = 192
    cut_from_ms: int = 12_000
    cut_pause_ms: int = 160
    longest_ms: int = 20_000


class Piece(NamedTuple):
    """Audio of an utterance. The utterance began at sample `begin` (also its identity on this stream).

    `samples` follow those of earlier pieces. `end` is the sample after the utterance's last one, as known so far: a
    later piece may withdraw samples of an earlier one past `end`. `paused`: the speaker is silent now; if that lasts,
    the utterance is complete. `voiced_ms` is the voiced time of the entire utterance. `final`: it has ended. `discard`:
    it has ended and is not worth recognising.
    """

    begin: int
    end: int
    samples: Samples
    voiced_ms: int
    paused: bool
    final: bool
    discard: bool


@dataclass(slots=True)
class _Utterance:
    begin: int
    voiced: int = 0
    pause: int = 0
    chunks: list[tuple[Samples, float]] = field(default_factory=list)
    handed: int = 0


class Endpointer:
    """State of one stream. It takes chunks of CHUNK samples with their probabilities, in order."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self.thresholds = thresholds or Thresholds()
        self._before: deque[Samples] = deque(maxlen=self.thresholds.lead_ms // CHUNK_MS)
        self._current: _Utterance | None = None

    def push(self, start: int, samples: Samples, probability: float) -> list[Piece]:
        """Process the chunk that begins at sample `start`."""
        if self._current is None:
            if probability < self.thresholds.on:
                self._before.append(samples)
                return []
            lead = list(self._before)
            self._before.clear()
            self._current = _Utterance(start - CHUNK * len(lead), chunks=[(chunk, 0.0) for chunk in lead])
        return self._extend(self._current, samples, probability)

    def finish(self) -> list[Piece]:
        """Close the open utterance at the end of the stream or at a gap in it."""
        utterance, self._current = self._current, None
        self._before.clear()
        return [] if utterance is None else [self._close(utterance, len(utterance.chunks))]

    def _extend(self, utterance: _Utterance, samples: Samples, probability: float) -> list[Piece]:
        limits = self.thresholds
        utterance.chunks.append((samples, probability))
        if probability >= (limits.off if utterance.pause == 0 else limits.on):
            utterance.voiced += 1
            utterance.pause = 0
        else:
            utterance.pause += 1
        length = len(utterance.chunks) * CHUNK_MS
        if utterance.pause * CHUNK_MS >= limits.pause_ms:
            return self._end(utterance, self._without_pause(utterance))
        if length >= limits.longest_ms:
            return self._cut(utterance, self._quietest(utterance))
        if length >= limits.cut_from_ms and utterance.pause * CHUNK_MS >= limits.cut_pause_ms:
            return self._cut(utterance, len(utterance.chunks))
        return [self._hand_out(utterance, self._without_pause(utterance), final=False, discard=False)]

    def _without_pause(self, utterance: _Utterance) -> int:
        """Return the number of chunks to keep if the pause lasts, so that a partial already has the final's audio."""
        return len(utterance.chunks) - max(utterance.pause - self.thresholds.tail_ms // CHUNK_MS, 0)

    def _quietest(self, utterance: _Utterance) -> int:
        """Return the chunk boundary with the least speech around it in the last third."""
        first = len(utterance.chunks) * 2 // 3
        return first + int(np.argmin([probability for _, probability in utterance.chunks[first:]])) + 1

    def _end(self, utterance: _Utterance, keep: int) -> list[Piece]:
        self._current = None
        self._before.extend(samples for samples, _ in utterance.chunks[keep:])
        return [self._close(utterance, keep)]

    def _cut(self, utterance: _Utterance, keep: int) -> list[Piece]:
        """Close the utterance after `keep` chunks and continue with the rest in a new one."""
        self._current = None
        if rest := utterance.chunks[keep:]:
            voiced = sum(probability >= self.thresholds.off for _, probability in rest)
            self._current = _Utterance(utterance.begin + CHUNK * keep, voiced=voiced, chunks=rest)
        return [self._close(utterance, keep)]

    def _close(self, utterance: _Utterance, keep: int) -> Piece:
        discard = utterance.voiced * CHUNK_MS < self.thresholds.least_voice_ms
        return self._hand_out(utterance, keep, final=True, discard=discard)

    def _hand_out(self, utterance: _Utterance, keep: int, *, final: bool, discard: bool) -> Piece:
        chunks = [samples for samples, _ in utterance.chunks[utterance.handed : keep]]
        samples = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
        utterance.handed = max(keep, utterance.handed)
        end = utterance.begin + CHUNK * keep
        paused = utterance.pause * CHUNK_MS >= self.thresholds.tail_ms
        return Piece(utterance.begin, end, samples, utterance.voiced * CHUNK_MS, paused, final, discard)
