"""Joining of live utterances' pieces into windows for a detector of voices. Pure, bounded by one window per track."""

from dataclasses import dataclass, field

from inference.messages import Speech
from inference.synthetic.assess import BYTES_PER_MS, LEAST_WINDOW_MS, WINDOW_MS, Piece

_WINDOW_BYTES = WINDOW_MS * BYTES_PER_MS


@dataclass(slots=True)
class _Utterance:
    """The part of an utterance that is not yet in a window; `taken` bytes came before it."""

    begin: int
    taken: int = 0
    rest: bytearray = field(default_factory=bytearray)


class VoiceWindows:
    """The utterances in progress, one per track."""

    def __init__(self) -> None:
        self._utterances: dict[int, _Utterance] = {}

    def add(self, speech: Speech) -> list[Piece]:
        """Add the next piece of a track's utterance; return full windows and, at the utterance's end, the rest."""
        known = self._utterances.get(speech.handle)
        if known is None or known.begin != speech.begin:
            known = self._utterances[speech.handle] = _Utterance(speech.begin)
        known.rest += speech.pcm
        found = []
        while len(known.rest) >= _WINDOW_BYTES:
            found.append(_piece(speech, known, _WINDOW_BYTES))
        if speech.final:
            del self._utterances[speech.handle]
            left = min(len(known.rest), max(0, speech.samples * 2 - known.taken))
            if not speech.discard and left >= LEAST_WINDOW_MS * BYTES_PER_MS:
                found.append(_piece(speech, known, left))
        return found

    def forget(self, handle: int) -> None:
        """Drop a track's utterance."""
        self._utterances.pop(handle, None)


def _piece(speech: Speech, known: _Utterance, size: int) -> Piece:
    start = speech.start_ms + known.taken // BYTES_PER_MS
    data = bytes(known.rest[:size])
    del known.rest[:size]
    known.taken += size
    return start, start + size // BYTES_PER_MS, data
