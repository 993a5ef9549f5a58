"""Expression of a face, smoothed over some seconds, or "uncertain". Pure; times are ms.

One picture is weak evidence and the classifiers err, so probabilities are averaged with a half-life of HALF_LIFE_MS. An
expression is named only after enough pictures, and if it clearly leads; rare classes, which the classifiers get wrong
most often, need a higher probability. The result describes how a face looks, never what a person feels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
UNCERTAIN = "uncertain"
HALF_LIFE_MS = 2000
STALE_MS = 6000
"""Time without a face after which no expression is reported."""
LEAST_PICTURES = 3
_DEPENDABLE = frozenset(("neutral", "happy"))
_LEAD = 0.55
_LEAD_OTHERS = 0.75


@dataclass(frozen=True, slots=True)
class Expression:
    """Expression of a face.

    `name` is one of EXPRESSIONS, or UNCERTAIN; `probabilities` are in the order of EXPRESSIONS; `at_ms` is the last
    picture's time; `pictures` is their number.
    """

    name: str
    probabilities: tuple[float, ...]
    at_ms: int
    pictures: int


class Mood:
    """State of one track's face."""

    def __init__(self) -> None:
        self._average = [0.0] * len(EXPRESSIONS)
        self._weight = 0.0
        self._at_ms = 0
        self._pictures = 0

    def observe(self, at_ms: int, probabilities: Sequence[float]) -> None:
        """Add one picture's probabilities. Pictures must come in order of time."""
        if at_ms - self._at_ms > STALE_MS:
            self._average, self._weight, self._pictures = [0.0] * len(EXPRESSIONS), 0.0, 0
        kept = 0.5 ** (max(0, at_ms - self._at_ms) / HALF_LIFE_MS) if self._pictures else 0.0
        self._weight = self._weight * kept + 1.0
        self._average = [
            old + (new - old) / self._weight for old, new in zip(self._average, probabilities, strict=True)
        ]
        self._at_ms, self._pictures = at_ms, self._pictures + 1

    def now(self, at_ms: int) -> Expression | None:
        """Return the expression at `at_ms`, or None if no face was seen recently."""
        if self._pictures == 0 or at_ms - self._at_ms > STALE_MS:
            return None
        name, share = max(zip(EXPRESSIONS, self._average, strict=True), key=lambda pair: pair[1])
        sure = share >= (_LEAD if name in _DEPENDABLE else _LEAD_OTHERS) and self._pictures >= LEAST_PICTURES
        rounded = tuple(round(share, 3) for share in self._average)
        return Expression(name if sure else UNCERTAIN, rounded, self._at_ms, self._pictures)
