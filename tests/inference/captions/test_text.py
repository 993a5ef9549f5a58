"""Clean-up of recognised text."""

from hypothesis import given
from hypothesis import strategies as st

from inference.captions.text import MAX_CHARACTERS, tidy, words_of
from inference.speech.word_times import Word


def test_chinese_is_simplified_and_only_chinese() -> None:
    assert tidy("歡迎參加視訊會議", "zh") == "欢迎参加视讯会议"
    assert tidy("會議", "ja") == "會議"


def test_one_line_without_control_characters() -> None:
    assert tidy(" a\n\tb\u202e c\N{REPLACEMENT CHARACTER} ", "en") == "a b c"


@given(st.text(max_size=2000), st.sampled_from(["en", "zh"]))
def test_any_text_is_tidied(text: str, lang: str) -> None:
    tidied = tidy(text, lang)
    assert tidied.isprintable()
    assert len(tidied) <= 2 * MAX_CHARACTERS


def test_words_are_spelled_as_the_text_is() -> None:
    said = (Word("會", 0, 200), Word("議", 200, 400))
    assert words_of("会议", said) == (Word("会", 0, 200), Word("议", 200, 400))
    said = (Word(" Good", 0, 200), Word(" day.", 200, 400))
    assert words_of("Good day.", said) == (Word("Good", 0, 200), Word(" day.", 200, 400))
    assert words_of("Good", said) == ()
