"""Silero VAD behind our front end: noise is not speech, and speech is."""

import numpy as np
import pytest

from inference.speech.endpointing import CHUNK
from inference.speech.voice_activity import VoiceActivity, VoiceState
from tests.inference.material import Floats, noises, prompts


def chunks(samples: Floats) -> list[np.ndarray]:
    whole = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    return [whole[start : start + CHUNK] for start in range(0, len(whole) - CHUNK + 1, CHUNK)]


def probabilities(activity: VoiceActivity, samples: Floats) -> list[float]:
    state = VoiceState()
    return [activity.probabilities([chunk], [state])[0] for chunk in chunks(samples)]


@pytest.mark.parametrize(("name", "sound"), list(noises()), ids=lambda value: value if isinstance(value, str) else "")
def test_no_noise_is_speech(voice_activity: VoiceActivity, name: str, sound: Floats) -> None:
    flagged = sum(probability >= 0.5 for probability in probabilities(voice_activity, sound))
    assert flagged == 0, f"{name}: {flagged} chunks flagged"


def test_speech_is_found(voice_activity: VoiceActivity) -> None:
    for spoken in prompts(5):
        loud = [np.abs(chunk.astype(int)).mean() > 1000 for chunk in chunks(spoken.samples)]
        found = [probability >= 0.35 for probability in probabilities(voice_activity, spoken.samples)]
        missed = sum(energy and not speech for energy, speech in zip(loud, found, strict=True))
        assert missed <= 0.03 * sum(loud), spoken.name


def test_streams_do_not_influence_each_other(voice_activity: VoiceActivity) -> None:
    sounds = [chunks(spoken.samples)[:60] for spoken in prompts(4)]
    alone = [[voice_activity.probabilities([c], [s])[0] for c in sound] for sound, s in
             ((sound, VoiceState()) for sound in sounds)]  # fmt: skip
    states = [VoiceState() for _ in sounds]
    together = [voice_activity.probabilities(list(heads), states) for heads in zip(*sounds, strict=True)]
    assert np.allclose(np.array(together).T, np.array(alone), atol=1e-4)
