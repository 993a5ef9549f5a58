"""Training of the detector of generated voices on little data: the result loads and is marked as no evidence."""

from pathlib import Path

import numpy as np
import pytest

from bench.detector_training import speech
from bench.detector_training.__main__ import main
from bench.detector_training.channel import through_g722, through_opus
from bench.detector_training.resynthesis import VOCODERS
from inference.synthetic.detector import Medium, load_card
from inference.synthetic.voice_model import VoiceModel
from tests.inference.detecting import natural


def test_a_little_training_gives_a_model_and_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speech, "SPEAKERS", speech.SPEAKERS[:4:3])  # Allison and Carlo
    assert main(["--into", str(tmp_path / "made"), "--prompts", "2"]) == 0
    card = load_card(tmp_path / "made" / "card.toml")
    assert (card.name, card.medium, card.evidential) == ("synthetic_voice", Medium.VOICE, False)
    assert "never heard them" in card.evaluation_data
    (score,) = VoiceModel(tmp_path / "made").scores([natural()[:64_000]])
    assert score is not None
    assert 0 <= score <= 1
    assert "it is no evidence" in capsys.readouterr().out


def test_without_speech_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speech, "SOUNDS", tmp_path)
    monkeypatch.setattr(speech, "READER", tmp_path)
    assert main(["--into", str(tmp_path)]) == 1
    assert "apt-get install asterisk-core-sounds" in capsys.readouterr().err


@pytest.mark.parametrize("name", VOCODERS)
def test_a_vocoder_keeps_length_and_loudness(name: str) -> None:
    sound = natural()[:48_000]
    made = VOCODERS[name](sound, np.random.default_rng(1))
    assert len(made) == len(sound)
    assert np.isfinite(made).all()
    assert 0.1 < np.sqrt(np.mean(made**2)) / np.sqrt(np.mean(sound**2)) < 4


def test_codecs_keep_the_length_and_the_voice() -> None:
    sound = natural()[:48_001]
    for heard in (through_g722(sound), through_opus(sound, 32_000)):
        assert abs(len(heard) - len(sound)) <= 1_000
        assert 0.8 < np.sqrt(np.mean(heard**2)) / np.sqrt(np.mean(sound**2)) < 1.2
