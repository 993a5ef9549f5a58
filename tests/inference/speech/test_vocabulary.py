"""Token ids to text."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.speech.vocabulary import Vocabulary, _byte_of_character
from inference.speech.whisper import WhisperModel

SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>", "<|transcribe|>",
           "<|nocaptions|>", "<|notimestamps|>"]  # fmt: skip


def small(tmp_path: Path, pieces: list[str]) -> Vocabulary:
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(pieces))
    return Vocabulary.load(path)


def test_bytes_are_spelled_one_to_one() -> None:
    spelling = _byte_of_character()
    assert sorted(spelling.values()) == list(range(256))
    assert (spelling["A"], spelling["Ġ"], spelling["Ċ"]) == (ord("A"), ord(" "), ord("\n"))


@given(st.text(max_size=50))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    characters = {byte: character for character, byte in _byte_of_character().items()}
    pieces = [characters[byte] for byte in range(256)]
    vocabulary = small(tmp_path_factory.mktemp("v"), pieces + SPECIAL)
    encoded = text.encode("utf-8", "replace")
    assert vocabulary.text([vocabulary.start, *encoded, vocabulary.end]) == encoded.decode()


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    characters = {byte: character for character, byte in _byte_of_character().items()}
    vocabulary = small(tmp_path, [characters[byte] for byte in range(256)] + SPECIAL)
    assert vocabulary.text([0xE6, 0x97]) == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("pieces", [[], ["a"], SPECIAL[:-1], {"a": 1}, [1, 2]])
def test_another_vocabulary_is_refused(tmp_path: Path, pieces: object) -> None:
    with pytest.raises(ValueError):
        small(tmp_path, pieces)


def test_the_shipped_one(whisper: WhisperModel) -> None:
    vocabulary = whisper.vocabulary
    assert (vocabulary.end, vocabulary.start, vocabulary.no_speech) == (50257, 50258, 50362)
    assert len(vocabulary.languages) == 99
    assert (vocabulary.languages["en"], vocabulary.languages["zh"]) == (50259, 50260)
