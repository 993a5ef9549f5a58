"""Whisper's vocabulary: token ids to text, and the special ids.

Since only decoding is needed, there is no tokenizer library: ids map to byte strings in GPT-2's printable spelling
(Radford et al. 2019, `bytes_to_unicode`), which are joined and decoded as UTF-8.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

END = "<|endoftext|>"
START = "<|startoftranscript|>"
TRANSCRIBE = "<|transcribe|>"
NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")
NO_TIMESTAMPS = "<|notimestamps|>"


@cache
def _byte_of_character() -> dict[str, int]:
    """Return GPT-2's spelling of bytes: printable bytes stay the same, the others become characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spelled = {chr(byte): byte for byte in printable}
    hidden = [byte for byte in range(256) if byte not in set(printable)]
    spelled |= {chr(0x100 + index): byte for index, byte in enumerate(hidden)}
    return spelled


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`pieces[id]` is a token's spelling; special tokens are spelled <|like this|>."""

    pieces: tuple[str, ...]
    end: int
    start: int
    transcribe: int
    no_timestamps: int
    no_speech: int
    languages: dict[str, int]

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read vocabulary.json, a list of spellings; raises ValueError if it is not Whisper's."""
        pieces = json.loads(path.read_text("utf-8"))
        if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
            raise ValueError(f"{path} is not a list of tokens")
        ids = {piece: index for index, piece in enumerate(pieces)}
        try:
            start, transcribe = ids[START], ids[TRANSCRIBE]
            end, no_timestamps = ids[END], ids[NO_TIMESTAMPS]
            no_speech = next(ids[name] for name in NO_SPEECH if name in ids)
        except (KeyError, StopIteration) as error:
            raise ValueError(f"{path} lacks Whisper's special tokens") from error
        translate = ids.get("<|translate|>", transcribe)
        languages = {pieces[index][2:-2]: index for index in range(start + 1, min(transcribe, translate))}
        return cls(tuple(pieces), end, start, transcribe, no_timestamps, no_speech, languages)

    def text(self, tokens: list[int]) -> str:
        """Return the text of `tokens`, without special ones and with broken UTF-8 replaced."""
        return b"".join(self.raw(token) for token in tokens if token < self.end).decode("utf-8", errors="replace")

    def raw(self, token: int) -> bytes:
        """Return the bytes of a token that is not special, which may be part of a character."""
        spelling = _byte_of_character()
        return bytes(spelling[character] for character in self.pieces[token])
