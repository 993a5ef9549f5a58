"""Features of voices: finite for any sound, the same at any level, none for silence."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference.synthetic.features import COUNT, FRAME, LEAST_FRAMES, STEP, features
from tests.inference.material import prompt

LEAST = FRAME + LEAST_FRAMES * STEP


@given(st.integers(0, 40_000), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_any_sound_has_finite_features_or_none(length: int, level: float, seed: int) -> None:
    found = features((np.random.default_rng(seed).uniform(-1, 1, length) * level).astype(np.float32))
    assert found is None or (found.shape == (COUNT,) and np.isfinite(found).all())
    assert found is None or length >= LEAST


def test_a_quieter_voice_is_the_same_voice() -> None:
    sound = prompt("queue-periodic-announce").samples[:64_000]
    loud, quiet = features(sound), features(sound * np.float32(0.2))
    assert loud is not None
    assert quiet is not None
    assert np.allclose(loud, quiet, atol=0.05)


def test_silence_and_a_moment_have_none() -> None:
    assert features(np.zeros(64_000, np.float32)) is None
    assert features(prompt("queue-periodic-announce").samples[: LEAST - 1]) is None
