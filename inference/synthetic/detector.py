"""Detection of synthetic media, that is, of generated faces and voices: the interface, and the answer without a model.

No trustworthy model is available in packages (liveness nets score at chance level, a voice model trained here does not
generalise), so the default answer is "no verdict (no model)". Operators who have a model serve it on Triton and
configure its model card. A card that does not say how the score was calibrated is refused. The voice detector trained
by bench.detector_training, which can be fetched, only demonstrates the pipeline; its card and each of its verdicts say
so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

NO_MODEL = "no verdict (no model)"
TOO_LITTLE = "no verdict (too little evidence)"
NO_EVIDENCE = "demonstration model, not evidence"


class Medium(StrEnum):
    VOICE = "voice"  # 16 kHz mono samples
    FACE = "face"  # a sequence of face images


class Outcome(StrEnum):
    NO_VERDICT = "no verdict"
    LIKELY_AUTHENTIC = "likely authentic"
    LIKELY_SYNTHETIC = "likely synthetic"
    UNCERTAIN = "uncertain"


class OperatingPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds and the error rates measured there.

    Scores of at least `synthetic_from` mean synthetic, below `authentic_below` authentic.
    """

    synthetic_from: float
    authentic_below: float
    false_alarm_rate: float
    miss_rate: float


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts about a model that are required before its scores are shown."""

    name: str
    version: str
    medium: Medium
    licence: str
    training_data: str
    evaluation_data: str
    calibration: str
    operating_point: OperatingPoint
    least_evidence_ms: int
    evidential: bool = False

    def __post_init__(self) -> None:
        point = self.operating_point
        if not 0 <= point.authentic_below <= point.synthetic_from <= 1:
            raise ValueError("the operating point's thresholds are not in order")
        for field in ("licence", "training_data", "evaluation_data", "calibration"):
            if not getattr(self, field).strip():
                raise ValueError(f"the model card lacks {field}")


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of evidence: the calibrated probability of synthesis between two times."""

    start_ms: int
    end_ms: int
    score: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict with its evidence; `text` may be shown. Without a card, there is no score.

    Unless `evidential`, the verdict proves nothing, and `text` says so: the model only demonstrates the pipeline.
    """

    medium: Medium
    outcome: Outcome
    text: str
    score: float | None = None
    windows: tuple[Window, ...] = ()
    card: ModelCard | None = None
    evidential: bool = False


class Detector(Protocol):
    """Detector that scores windows of one medium. The card defines the meaning of the scores."""

    card: ModelCard

    async def score(self, windows: Sequence[tuple[int, int, bytes]]) -> list[Window]:
        """Return a score per (start_ms, end_ms, data), except for those with too little content; raises ModelError."""
        ...


def load_card(path: Path) -> ModelCard:
    """Return the model card in a TOML file; raises ValueError if it is incomplete."""
    return msgspec.toml.decode(path.read_bytes(), type=ModelCard)


def without_model(medium: Medium) -> Verdict:
    """Return the verdict for the case that no detector is configured."""
    return Verdict(medium, Outcome.NO_VERDICT, NO_MODEL)


def judge(card: ModelCard, windows: Sequence[Window]) -> Verdict:
    """Return the verdict on a medium's windows, weighted by their length, at the card's operating point."""
    evidence = sum(window.end_ms - window.start_ms for window in windows)
    if evidence < card.least_evidence_ms or evidence <= 0:
        return Verdict(card.medium, Outcome.NO_VERDICT, TOO_LITTLE, None, tuple(windows), card, card.evidential)
    score = sum(window.score * (window.end_ms - window.start_ms) for window in windows) / evidence
    if score >= card.operating_point.synthetic_from:
        outcome = Outcome.LIKELY_SYNTHETIC
    elif score < card.operating_point.authentic_below:
        outcome = Outcome.LIKELY_AUTHENTIC
    else:
        outcome = Outcome.UNCERTAIN
    text = outcome.value if card.evidential else f"{outcome.value} ({NO_EVIDENCE})"
    return Verdict(card.medium, outcome, text, round(score, 3), tuple(windows), card, card.evidential)
