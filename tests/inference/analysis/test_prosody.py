"""Cues of a voice: pitch, loudness and pauses of known sounds."""

import numpy as np
import pytest

from inference.analysis.prosody import RATE, cues_of
from tests.inference.material import prompt


def tone(hertz: float, seconds: float = 1.0, level: float = 0.3) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * hertz * part * time) / part for part in (1, 2, 3))
    return (sound * level * 32767 / 2).astype(np.int16)


@pytest.mark.parametrize("hertz", [90, 120, 180, 240, 330])
def test_a_tone_s_pitch(hertz: int) -> None:
    cues = cues_of(tone(hertz))
    assert cues is not None
    assert cues.pitch_hz == pytest.approx(hertz, rel=0.03)
    assert cues.pitch_spread is not None
    assert cues.pitch_spread < 0.5


def test_louder_is_louder_and_a_pause_is_a_pause() -> None:
    quiet, loud = cues_of(tone(150, level=0.05)), cues_of(tone(150, level=0.5))
    assert quiet is not None
    assert loud is not None
    assert loud.loudness_db - quiet.loudness_db == pytest.approx(20, abs=0.5)
    halved = cues_of(np.concatenate((tone(150), np.zeros(RATE, np.int16))))
    assert halved is not None
    assert halved.pauses == pytest.approx(0.5, abs=0.05)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = (np.random.default_rng(4).standard_normal(RATE) * 3000).astype(np.int16)
    for sound in (noise, np.zeros(RATE, np.int16)):
        cues = cues_of(sound)
        assert cues is not None
        assert cues.pitch_hz is None
    assert cues_of(np.zeros(10, np.int16)) is None


def test_a_woman_s_voice() -> None:
    cues = cues_of((prompt("queue-periodic-announce").samples * 32767).astype(np.int16))
    assert cues is not None
    assert cues.pitch_hz is not None
    assert 160 < cues.pitch_hz < 240
    assert cues.pitch_spread is not None
    assert cues.pitch_spread > 1
