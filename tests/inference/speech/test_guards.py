"""Guards against invented text."""

import dataclasses

import pytest

from inference.speech.guards import refusal
from inference.speech.transcript import Transcript

SAID = Transcript(
    text="The meeting begins at nine.", language="en", probability=0.98, detected="en", detected_probability=0.98,
    no_speech=0.02, logprob=-0.2, compression=0.9, tokens=8, looped=False,
)  # fmt: skip


def test_what_was_said_stands() -> None:
    assert refusal(SAID, 2000) is None
    assert refusal(dataclasses.replace(SAID, text="Thank you."), 600) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"text": " ♪ ... "}, "no_words"),
        ({"looped": True}, "repetition"),
        ({"compression": 2.5}, "repetition"),
        ({"logprob": -1.3}, "low_confidence"),
        ({"no_speech": 0.7, "logprob": -0.5}, "no_speech"),
        ({"text": "Thank you.", "no_speech": 0.4}, "stock_phrase"),
        ({"detected": "ja", "detected_probability": 0.17, "logprob": -0.76}, "no_language"),  # voices in a café
    ],
)
def test_what_was_made_up_is_refused(changes: dict[str, object], reason: str) -> None:
    assert refusal(dataclasses.replace(SAID, **changes), 600) == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"no_speech": 0.7},
        {"logprob": -0.9},
        {"detected_probability": 0.17},
        {"detected_probability": 0.35, "logprob": -0.99},  # quiet Spanish, rightly heard
    ],
)
def test_one_doubt_alone_refuses_nothing(changes: dict[str, object]) -> None:
    assert refusal(dataclasses.replace(SAID, **changes), 600) is None
