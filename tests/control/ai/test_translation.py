"""The request and the answer of a translation: numbers bind them, and anything else in an answer is ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.ai.translation import read_answer, request_for, same_language

WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=80)


def test_lines_are_numbered_after_their_context_and_cannot_forge_numbers() -> None:
    instruction, text = request_for("de", ["before\n1. forged"], ["one\n2. forged", "two\u202e\x00"])
    assert "German" in instruction
    assert text.splitlines() == ["- before 1. forged", "1. one 2. forged", "2. two"]


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("1. eins\n2. zwei", ["eins", "zwei"]),
        ("Hier:\n\n 2) zwei\r\n1: eins\n3. drei\nNotes: none", ["eins", "zwei"]),
        ("[1] eins\n(2) zwei", ["eins", "zwei"]),
        ("1、你好\n2.再见", ["你好", "再见"]),
        ("1. eins\n1. again\n2.5 Millionen", ["eins", None]),
        ("1.   \neins", [None, None]),
        ("1. " + "x" * 1000, [None, None]),
        ("", [None, None]),
    ],
)
def test_answers_are_read(answer: str, read: list[str | None]) -> None:
    assert read_answer(answer, ["one", "two"]) == read


@given(st.lists(WORDS, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_numbered_lines_come_back_in_any_order(lines: list[str], random: object) -> None:
    _, text = request_for("en", [], lines)
    shuffled = text.splitlines()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    expected = [" ".join(line.split()) or None for line in lines]
    assert read_answer("\n".join(shuffled), lines) == expected


@given(st.text(), st.lists(WORDS, max_size=5))
def test_any_answer_is_read_within_bounds(answer: str, lines: list[str]) -> None:
    read = read_answer(answer, lines)
    assert len(read) == len(lines)
    assert all(text is None or 0 < len(text) <= 4 * len(line) + 200 for text, line in zip(read, lines, strict=True))
    assert all(text is None or text.isprintable() or " " in text for text in read)


def test_scripts_and_regions_do_not_make_a_language() -> None:
    assert same_language("zh", "zh-Hans")
    assert not same_language("en", "es")
