"""Choice among several detectors with the same model."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from inference.breaker import THRESHOLD
from inference.model_error import ModelError
from inference.synthetic.detector import ModelCard, Window, load_card
from inference.synthetic.detectors import FirstOf
from tests.inference.synthetic.test_detector import CARD

PIECES = ((0, 4000, b""),)


class Scripted:
    """A detector that answers `score`, or fails while it is None."""

    def __init__(self, card: ModelCard, score: float | None) -> None:
        self.card = card
        self.answer = score
        self.asked = 0

    async def score(self, windows: Sequence[tuple[int, int, bytes]]) -> list[Window]:
        self.asked += 1
        if self.answer is None:
            raise ModelError("it is down")
        return [Window(start, end, self.answer) for start, end, _ in windows]


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    (tmp_path / "card.toml").write_text(CARD)
    return load_card(tmp_path / "card.toml")


async def test_equals_take_turns_and_the_last_waits(card: ModelCard) -> None:
    one, two, last = (Scripted(card, score) for score in (0.1, 0.2, 0.3))
    detectors = FirstOf((one, two), (last,))
    scores = [(await detectors.score(PIECES))[0].score for _ in range(4)]
    assert scores == [0.1, 0.2, 0.1, 0.2]
    assert last.asked == 0


async def test_one_that_is_down_is_stood_in_for_and_then_left_alone(card: ModelCard) -> None:
    down, up = Scripted(card, None), Scripted(card, 0.2)
    detectors = FirstOf((down, up))
    for _ in range(4 * THRESHOLD):
        assert (await detectors.score(PIECES))[0].score == 0.2
    assert down.asked == THRESHOLD


async def test_when_all_are_down_the_last_answers_and_without_one_it_is_an_error(card: ModelCard) -> None:
    down, last = Scripted(card, None), Scripted(card, 0.3)
    assert (await FirstOf((down,), (last,)).score(PIECES))[0].score == 0.3
    with pytest.raises(ModelError, match="it is down"):
        await FirstOf((down,)).score(PIECES)
