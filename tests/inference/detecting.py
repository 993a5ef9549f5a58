"""A directory of models that includes the detector of generated voices, and voices to test it with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.detector_training.channel import through_g722
from bench.detector_training.resynthesis import griffin_lim
from inference.models import catalogue
from inference.models.fetch import fetch
from inference.synthetic.detector import NO_EVIDENCE
from tests.inference.material import Floats, prompt

SENTENCES = ("queue-periodic-announce", "ss-noservice", "pbx-invalidpark", "vm-tempgreetactive", "demo-echotest")


def linked(models_dir: Path, directory: Path) -> Path:
    """Fill `directory` with links to the fetched caption models, without the detector."""
    directory.mkdir()
    for name in ("silero-vad", "whisper-base"):
        (directory / name).symlink_to(models_dir / name)
    return directory


def with_detector(models_dir: Path, directory: Path) -> Path:
    """Fill a directory the same way, with the detector."""
    fetch(catalogue.load().named("synthetic-voice"), linked(models_dir, directory), lambda _: None)
    return directory


def natural() -> Floats:
    """Return a quarter of a minute of a person's speech."""
    return np.concatenate([prompt(name).samples for name in SENTENCES])


def generated(sound: Floats) -> Floats:
    """Return the same speech through a vocoder."""
    return through_g722(griffin_lim(sound, np.random.default_rng(3)))


def marked(verdict: dict[str, object]) -> bool:
    """Return whether a verdict says everywhere that it proves nothing."""
    text, card = verdict["text"], verdict["card"]
    assert isinstance(text, str) and isinstance(card, dict)
    return text.endswith(f"({NO_EVIDENCE})") and verdict["evidential"] is False and card["evidential"] is False


def windows(sound: Floats) -> Sequence[tuple[int, int, bytes]]:
    """Return pieces of four seconds in a detector's format."""
    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2")
    return [
        (start // 16, (start + 64_000) // 16, pcm[start : start + 64_000].tobytes())
        for start in range(0, len(pcm) - 64_000 + 1, 64_000)
    ]
