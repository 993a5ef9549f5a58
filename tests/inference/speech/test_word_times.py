"""Times of words: the best path through attention, and tokens put together to words."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

from inference.speech.word_times import FRAME_MS, Word, token_starts, words


def test_tokens_begin_where_they_are_attended_to() -> None:
    attention = np.full((3, 2, 10), 0.01, np.float32)
    attention[0, :, :4] = attention[1, :, 4:5] = attention[2, :, 5:] = 0.2
    attention[1, 1, 9] = 0.1  # a head that looks elsewhere for a moment
    assert token_starts(attention) == [0, 4, 5]


def test_there_are_no_times_without_a_frame_for_each_token() -> None:
    assert token_starts(np.ones((3, 2, 2), np.float32)) == []
    assert token_starts(np.ones((0, 2, 2), np.float32)) == []
    assert token_starts(np.ones((2, 2, 2), np.float32)) == [0, 1]


_MATRICES = shapes.arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 3), st.integers(1, 30)), elements=st.floats(0, 1, width=32)
)


@given(_MATRICES)
def test_each_token_begins_after_the_one_before(attention: np.ndarray) -> None:
    starts = token_starts(attention)
    count, _, frames = attention.shape
    assert len(starts) == (count if frames >= count else 0)
    assert starts[:1] in ([], [0])
    assert all(one < other < frames for one, other in itertools.pairwise(starts))


def test_spaces_begin_words_and_marks_end_them() -> None:
    pieces = [b" Good", b" day", b"light", b",", b" all"]
    assert words(pieces, [0, 10, 20, 30, 31, 40], "en") == (
        Word(" Good", 0, 200),
        Word(" daylight,", 200, 620),
        Word(" all", 620, 800),
    )


def test_characters_are_the_words_where_there_are_no_spaces() -> None:
    first, second = "你".encode(), "好".encode()
    pieces = [first[:2], first[2:] + second[:1], second[1:], "。".encode()]
    assert words(pieces, [0, 5, 10, 20, 30], "zh") == (Word("你好。", 0, 600),)  # its characters share a token
    assert words([first, second], [0, 5, 10], "zh") == (Word("你", 0, 100), Word("好", 100, 200))
    assert words([first[:2]], [0, 5], "zh") == ()


def test_a_pause_does_not_belong_to_the_word_before_it() -> None:
    assert words([b" so"], [0, 500], "en") == (Word(" so", 0, 1200),)


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.data())
def test_words_make_up_the_text(text: str, data: st.DataObject) -> None:
    raw = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(raw) - 1)), max_size=8)) - {len(raw)}) if raw else []
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)] if raw else []
    found = words(pieces, list(range(len(pieces) + 1)), data.draw(st.sampled_from(["en", "zh"])))
    assert "".join(word.text for word in found) == text
    assert all(word.end_ms - word.start_ms >= FRAME_MS for word in found)
