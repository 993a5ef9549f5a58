"""Rows of `python -m bench network` from the output of tests."""

import pytest

from bench.network import case_of, figures_in

LOST = "seed 1: longest gap 150 ms, 30.0 fps, 720 lines: holds"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (f"{LOST}\n.                                                    [100%]\n1 passed in 70.1s\n", LOST),
        (f"noise\n{LOST}\nF [100%]\n=========== short test summary info ====\nFAILED tests/x - assert\n", LOST),
        (f"first\n{LOST}\nR\n.  [100%]\n", LOST),
        (".   [100%]\n1 passed in 1s\n", ""),
        ("y" * 200 + "\n.", "y" * 109 + "…"),
    ],
)
def test_the_figures_are_the_last_line_that_it_printed(output: str, said: str) -> None:
    assert figures_in(output) == said


def test_a_case_is_told_in_words() -> None:
    assert case_of("tests/network/bar_loss.py::test_five_percent_of_it") == "loss: five percent of it"
    assert case_of("tests/network/bar_turn.py::test_meets[firefox]") == "turn: meets (firefox)"
