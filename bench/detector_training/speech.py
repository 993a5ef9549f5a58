"""Training speech for a detector of generated voices, by people and by synthesisers.

People: Debian's asterisk-core-sounds-{en,es,fr,it,ru}-g722 (five speakers, CC BY-SA) and pocketsphinx-testdata (a
LibriVox reader). Synthesisers: espeak-ng and flite, which read the packages' transcripts. Packages that are not
installed are left out; training needs at least some speech by people.
"""

import gzip
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from inference.synthetic.features import RATE, Floats

SOUNDS = Path("/usr/share/asterisk/sounds")
TRANSCRIPTS = Path("/usr/share/doc")
READER = Path("/usr/share/pocketsphinx/test/data/librivox")
NEEDS = (
    "apt-get install asterisk-core-sounds-{en,es,fr,it,ru} asterisk-core-sounds-{en,es,fr,it,ru}-g722 "
    "pocketsphinx-testdata espeak-ng flite"
)
_LEAST_SECONDS = 2.0
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person, and the folder and language of their prompts."""

    name: str
    folder: str
    language: str


SPEAKERS = (
    Speaker("Allison", "en_US_f_Allison", "en"),
    Speaker("Allison in Spanish", "es_MX_f_Allison", "es"),
    Speaker("June", "fr_CA_f_June", "fr"),
    Speaker("Carlo", "it_IT_m_Carlo", "it"),
    Speaker("IvrvoiceRU", "ru_RU_f_IvrvoiceRU", "ru"),
)


def spoken_by(speaker: Speaker, most: int, dice: np.random.Generator) -> list[Floats]:
    """Return a limited number of a speaker's prompts, 16 kHz mono in ±1; none if the package is missing."""
    files = sorted((SOUNDS / speaker.folder).rglob("*.g722"))
    return _some([path for path in files if path.stat().st_size >= _LEAST_SECONDS * RATE / 2], most, dice)


def spoken_by_reader(most: int, dice: np.random.Generator) -> list[Floats]:
    """Return a limited number of sentences by the LibriVox reader."""
    return _some(sorted(READER.glob("*.wav")), most, dice)


def _some(paths: list[Path], most: int, dice: np.random.Generator) -> list[Floats]:
    return [read(paths[index]) for index in dice.permutation(len(paths))[:most]]


def read(path: Path) -> Floats:
    """Return a file's sound, 16 kHz mono in ±1."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path), format="g722" if path.suffix == ".g722" else None) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def _sentences(language: str, most: int, dice: np.random.Generator) -> list[str]:
    path = TRANSCRIPTS / f"asterisk-core-sounds-{language}" / f"core-sounds-{language}.txt.gz"
    if not path.exists():
        return []
    text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    said = [line for line in re.findall(r"^[\w/-]+: (.*)$", text, re.MULTILINE) if 5 <= len(line.split()) <= 20]
    return [said[index] for index in dice.permutation(len(said))[:most]]


def read_by_espeak(languages: tuple[str, ...], most: int, dice: np.random.Generator) -> Iterator[Floats]:
    """Yield a limited number of sentences of each language in espeak-ng's voices; none if it is not installed."""
    program = shutil.which("espeak-ng")
    for language in languages if program is not None else ():
        for sentence in _sentences(language, most, dice):
            variant = f"{language}+{dice.choice(['m1', 'm3', 'm7', 'f1', 'f2', 'f4'])}"
            pitch, speed = str(dice.integers(30, 70)), str(dice.integers(140, 190))
            yield _said([str(program), "-v", variant, "-p", pitch, "-s", speed, "-w", "{}", "--", sentence])


def read_by_flite(most: int, dice: np.random.Generator) -> Iterator[Floats]:
    """Yield a limited number of English sentences in flite's voices; none if it is not installed."""
    program = shutil.which("flite")
    for sentence in _sentences("en", most, dice) if program is not None else ():
        voice = str(dice.choice(["slt", "rms", "awb", "kal16"]))
        yield _said([str(program), "-voice", voice, "-t", sentence, "-o", "{}"])


def _said(command: list[str]) -> Floats:
    """Run a program that speaks a sentence to a WAV file, whose path replaces {} in its command."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        filled = [file.name if word == "{}" else word for word in command]
        subprocess.run(filled, capture_output=True, check=True, timeout=_PATIENCE_SECONDS)
        return read(Path(file.name))
