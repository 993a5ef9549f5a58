"""Verdicts on synthetic media: none without a model, without a card, or on too little evidence."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.messages import Speech
from inference.synthetic.assess import LEAST_WINDOW_MS, WINDOW_MS, windows_of
from inference.synthetic.detector import (
    Medium,
    ModelCard,
    OperatingPoint,
    Outcome,
    Window,
    judge,
    load_card,
    without_model,
)

CARD = """
name = "toy"
version = "1"
medium = "voice"
licence = "Apache-2.0"
training_data = "none: it measures loudness"
evaluation_data = "two files of a test"
calibration = "none"
least_evidence_ms = 3000
evidential = false
[operating_point]
synthetic_from = 0.8
authentic_below = 0.3
false_alarm_rate = 0.0
miss_rate = 0.0
"""


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    path = tmp_path / "card.toml"
    path.write_text(CARD)
    return load_card(path)


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [
        ([0.9, 0.9], Outcome.LIKELY_SYNTHETIC),
        ([0.1, 0.2], Outcome.LIKELY_AUTHENTIC),
        ([0.1, 0.9], Outcome.UNCERTAIN),
        ([0.99], Outcome.NO_VERDICT),
        ([], Outcome.NO_VERDICT),
    ],
)
def test_the_operating_point_decides(card: ModelCard, scores: list[float], outcome: Outcome) -> None:
    windows = [Window(2000 * index, 2000 * index + 2000, score) for index, score in enumerate(scores)]
    verdict = judge(card, windows)
    assert verdict.outcome is outcome
    assert (verdict.score is None) == (outcome is Outcome.NO_VERDICT)
    assert verdict.windows == tuple(windows)
    assert outcome is Outcome.NO_VERDICT or verdict.text.endswith("(demonstration model, not evidence)")


def test_without_a_model_there_is_no_verdict() -> None:
    for medium in Medium:
        verdict = without_model(medium)
        assert (verdict.text, verdict.score, verdict.card) == ("no verdict (no model)", None, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('calibration = "none"', 'calibration = " "'),
        ('licence = "Apache-2.0"', ""),
        ("synthetic_from = 0.8", "synthetic_from = 0.2"),
        ("miss_rate = 0.0", ""),
        ('medium = "voice"', 'medium = "smell"'),
        ("[operating_point]", "["),
    ],
)
def test_a_card_that_leaves_something_out_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "card.toml"
    path.write_text(CARD.replace(old, new))
    with pytest.raises(ValueError):
        load_card(path)


@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 1)), max_size=20))
def test_a_score_lies_between_its_windows(parts: list[tuple[int, float]]) -> None:
    card = ModelCard(
        "n", "1", Medium.VOICE, "l", "t", "e", "c", OperatingPoint(0.8, 0.3, 0.1, 0.1), least_evidence_ms=1
    )
    verdict = judge(card, [Window(0, length, score) for length, score in parts])
    if verdict.score is not None:
        assert min(score for _, score in parts) - 1e-3 <= verdict.score <= max(score for _, score in parts) + 1e-3


@given(st.integers(0, 20_000))
def test_windows_cover_an_utterance_but_for_a_short_rest(length_ms: int) -> None:
    speech = Speech(
        handle=0, begin=0, start_ms=500, end_ms=500 + length_ms, samples=16 * length_ms, voiced_ms=0,
        pcm=bytes(32 * length_ms), final=True,
    )  # fmt: skip
    windows = windows_of(speech)
    assert all(
        LEAST_WINDOW_MS <= end - start <= WINDOW_MS and len(pcm) == 32 * (end - start) for start, end, pcm in windows
    )
    covered = sum(end - start for start, end, _ in windows)
    assert length_ms - covered < LEAST_WINDOW_MS
    assert windows == [] or windows[0][0] == 500
