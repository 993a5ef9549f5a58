"""Current results for the analysed live tracks. Pure and bounded; nothing is stored.

Results live as long as their track: when consent is withdrawn, or the track ends, they are deleted.
"""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from inference.analysis.mood import EXPRESSIONS, Mood
from inference.messages import PictureSeen, VoiceHeard
from inference.synthetic.detector import Medium, ModelCard, Verdict, Window, judge, without_model
from sfu.api.sink_records import TrackOpened

ANALYSIS = "analysis"
MAX_WINDOWS = 30
MAX_CUES = 10


@dataclass(slots=True)
class _Analysed:
    """An analysed track and its results."""

    opened: TrackOpened
    mood: Mood = field(default_factory=Mood)
    faces: int = 0
    seen_ms: int | None = None
    voices: deque[VoiceHeard] = field(default_factory=lambda: deque(maxlen=MAX_CUES))
    windows: deque[Window] = field(default_factory=lambda: deque(maxlen=MAX_WINDOWS))


class LiveAnalysis:
    """Analysed tracks by handle. `emotion` is true if expressions and cues are shown at all."""

    def __init__(self) -> None:
        self.emotion = False
        self._tracks: dict[int, _Analysed] = {}

    def opened(self, track: TrackOpened) -> None:
        """Add a track whose participant consents to analysis."""
        self._tracks[track.handle] = _Analysed(track)

    def closed(self, handle: int) -> None:
        """Remove a track."""
        self._tracks.pop(handle, None)

    def track(self, handle: int) -> TrackOpened | None:
        """Return the analysed track with a handle, or None."""
        known = self._tracks.get(handle)
        return None if known is None else known.opened

    def picture(self, seen: PictureSeen) -> None:
        """Add an observation. If there are several faces, the largest counts."""
        known = self._tracks.get(seen.handle)
        if known is None:
            return
        known.faces, known.seen_ms = len(seen.faces), seen.at_ms
        if self.emotion and seen.faces and seen.faces[0].expressions:
            known.mood.observe(seen.at_ms, seen.faces[0].expressions)

    def voice(self, heard: VoiceHeard) -> None:
        """Add the cues of an utterance."""
        known = self._tracks.get(heard.handle)
        if known is not None and self.emotion:
            known.voices.append(heard)

    def window(self, handle: int, window: Window) -> None:
        """Add a detector's score."""
        known = self._tracks.get(handle)
        if known is not None:
            known.windows.append(window)

    def report(self, room: str, track: str, cards: dict[Medium, ModelCard]) -> dict[str, Any] | None:
        """Return the results for a live track, or None if it is not analysed."""
        known = next((k for k in self._tracks.values() if (k.opened.room, k.opened.track) == (room, track)), None)
        if known is None:
            return None
        medium = Medium.VOICE if known.opened.media == "audio" else Medium.FACE
        card = cards.get(medium)
        verdict = without_model(medium) if card is None else judge(card, list(known.windows))
        return {
            "room": room,
            "track": track,
            "participant": known.opened.participant,
            "media": known.opened.media,
            "emotion": self._emotion(known) if self.emotion else None,
            "synthesis": as_document(verdict),
        }

    def _emotion(self, known: _Analysed) -> dict[str, Any]:
        if known.opened.media == "audio":
            return {
                "kind": "prosody cues, not an emotion",
                "utterances": [
                    {"start_ms": heard.start_ms, "end_ms": heard.end_ms, **heard.cues} for heard in known.voices
                ],
            }
        expression = known.mood.now(known.seen_ms) if known.seen_ms is not None else None
        return {
            "kind": "how a face looks, not what a person feels",
            "faces": known.faces,
            "expression": None if expression is None else expression.name,
            "probabilities": None
            if expression is None
            else dict(zip(EXPRESSIONS, expression.probabilities, strict=True)),
            "at_ms": known.seen_ms,
        }


def as_document(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values."""
    document: dict[str, Any] = msgspec.to_builtins(asdict(verdict))
    return document
