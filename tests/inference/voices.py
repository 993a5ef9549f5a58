"""More speech with known words: other voices and languages in Debian's packages, none used to tune a threshold."""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.inference.material import RATE, SOUNDS, TRANSCRIPTS, Prompt, prompts, read_audio, words

_SPHINX = Path("/usr/share/pocketsphinx/test/data")
_ASTERISK = SOUNDS.parent
_WRITTEN = re.compile(r"[\[\]()0-9*#/]")
LEAST_WORDS = 4
NEEDS = (
    "apt-get install asterisk-core-sounds-{en,es,fr,it,ru} asterisk-core-sounds-{en,es,fr,it,ru}-g722 "
    "pocketsphinx-testdata"
)


@dataclass(frozen=True)
class Voice:
    """One speaker's sentences."""

    name: str
    language: str
    spoken: list[Prompt]

    @property
    def seconds(self) -> float:
        return sum(len(one.samples) for one in self.spoken) / RATE


def _asterisk(name: str, folder: str, language: str, leave_out: frozenset[str] = frozenset()) -> Voice:
    listed_in = Path(str(TRANSCRIPTS).replace("-en", f"-{language}"))
    assert listed_in.exists() and (_ASTERISK / folder).exists(), f"test speech is missing: {NEEDS}"
    text = gzip.decompress(listed_in.read_bytes()).decode("utf-8", "replace")
    listed = re.findall(r"^([\w/-]+): (.*)$", text, re.MULTILINE)
    chosen = [
        (sound, said)
        for sound, said in listed
        if sound not in leave_out
        and not _WRITTEN.search(said)
        and len(words(said)) >= LEAST_WORDS
        and (_ASTERISK / folder / f"{sound}.g722").exists()
    ]
    return Voice(name, language, [Prompt(s, said, read_audio(_ASTERISK / folder / f"{s}.g722")) for s, said in chosen])


def _raw(path: Path) -> np.ndarray:
    return (np.fromfile(path, "<i2").astype(np.float32) / 32768).astype(np.float32)


def _sphinx() -> Voice:
    """Return a LibriVox reader's sentences."""
    folder = _SPHINX / "librivox"
    assert folder.exists(), f"test speech is missing: {NEEDS}"
    listed = re.findall(r"<s> (.*?) </s> \((\S+)\)", (folder / "transcription").read_text())
    spoken = [Prompt(name, said, read_audio(folder / f"{name}.wav")) for said, name in listed]
    return Voice("reader (LibriVox)", "en", spoken)


def voices() -> list[Voice]:
    """Return six voices of five people in five languages; for English, the sentences not in `prompts(60)`."""
    known = frozenset(one.name for one in prompts(60))
    return [
        _asterisk("Allison", "en_US_f_Allison", "en", known),
        _asterisk("Allison, Spanish", "es_MX_f_Allison", "es"),
        _asterisk("June, French", "fr_CA_f_June", "fr"),
        _asterisk("Carlo, Italian", "it_IT_m_Carlo", "it"),
        _asterisk("IvrvoiceRU, Russian", "ru_RU_f_IvrvoiceRU", "ru"),
        _sphinx(),
    ]
