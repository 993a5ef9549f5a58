"""The sound of a film: at the right loudness, never too loud, undistorted, without steps."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.compose.limiter import CEILING_DB, Limiter
from recorder.compose.loudness import TARGET_LUFS, Loudness, gain_to_target
from recorder.compose.samples import RATE, Samples
from recorder.compose.sounds import mastered, measure

CEILING = 10 ** (CEILING_DB / 20)


def tone(hertz: float, decibels: float, seconds: float = 2.0) -> Samples:
    """The same tone left and right; `decibels` is its peak's, relative to full scale."""
    at = np.arange(round(seconds * RATE)) / RATE
    wave = 10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * at)
    return np.stack([wave, wave]).astype(np.float32)


def limited(samples: Samples, cuts: Sequence[int] = ()) -> Samples:
    limiter = Limiter()
    pieces = np.split(samples, sorted(cuts), axis=1)
    return np.concatenate([*(limiter.process(piece) for piece in pieces), limiter.flush()], axis=1)


def loudness(samples: Samples) -> float | None:
    meter = Loudness()
    for start in range(0, samples.shape[1], RATE):
        meter.add(np.ascontiguousarray(samples[:, start : start + RATE]))
    return meter.integrated()


def distortion(samples: Samples, hertz: float) -> float:
    """THD+N in dB: what is there besides the tone, relative to it. The ends, where it sets in, are left out."""
    wave = samples[0, RATE // 2 : RATE // 2 + RATE].astype(np.float64)
    at = np.arange(wave.size) / RATE
    basis = np.stack([np.sin(2 * np.pi * hertz * at), np.cos(2 * np.pi * hertz * at)])
    fundamental = (2 * (basis @ wave) / wave.size) @ basis
    return float(20 * np.log10(np.std(wave - fundamental) / np.std(fundamental)))


def true_peak(samples: Samples) -> float:
    """Eight times oversampled, by FFT; faded in and out, since that takes the sound to go round in a circle."""
    fade = np.minimum(1.0, np.minimum(np.arange(samples.shape[1]), np.arange(samples.shape[1])[::-1]) / 4800)
    spectrum = np.fft.rfft(samples[0] * fade)
    size = samples.shape[1] * 8
    return float(np.abs(np.fft.irfft(spectrum, size) * 8).max())


@pytest.mark.parametrize("decibels", [-20.0, -3.0, -1.0, -0.3, 0.0, 6.0, 12.0])
@pytest.mark.parametrize("hertz", [100.0, 440.0, 3000.0])
def test_a_tone_of_any_level_is_not_distorted(hertz: float, decibels: float) -> None:
    out = limited(tone(hertz, decibels))
    assert distortion(out, hertz) < -60
    assert true_peak(out) <= CEILING * 1.01


def test_the_gain_has_no_steps() -> None:
    """Two tones that beat: the largest step between samples is no larger than the ceiling's own tones make."""
    beating = tone(440, -3, 5) + tone(443, -3, 5)
    out = limited(beating)
    steepest = np.abs(np.diff(tone(443, CEILING_DB, 1)[0])).max()
    assert np.abs(np.diff(out[0])).max() <= steepest * 1.02
    louder = np.abs(out) > 1e-3
    factors = np.where(louder, out / np.where(louder, beating, 1), np.nan)[0]
    assert np.nanmax(np.abs(np.diff(factors))) < 0.003


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 20_000), max_size=6))
def test_borders_of_pieces_are_not_heard_and_no_peak_passes(seed: int, cuts: list[int]) -> None:
    dice = np.random.default_rng(seed)
    levels = np.repeat(dice.choice([0.0, 0.1, 1.0, 4.0], 20), 1000)
    noise = (dice.uniform(-1, 1, (2, 20_000)) * levels).astype(np.float32)
    whole, in_pieces = limited(noise), limited(noise, cuts)
    assert whole.shape == in_pieces.shape == noise.shape
    assert np.abs(whole - in_pieces).max() < 1e-5
    assert np.abs(whole).max() <= CEILING * 1.0001


def test_what_is_not_too_loud_passes_as_it_is() -> None:
    quiet = tone(440, -6)
    assert np.array_equal(limited(quiet), quiet)


def test_loudness_is_what_the_standard_says() -> None:
    """EBU Tech 3341: a stereo tone of 1 kHz at -23 dBFS has -23 LUFS, also after a stretch of silence."""
    assert loudness(tone(1000, -23, 20)) == pytest.approx(-23.0, abs=0.1)
    with_pause = np.concatenate([tone(1000, -23, 20), np.zeros((2, 40 * RATE), np.float32)], axis=1)
    assert loudness(with_pause) == pytest.approx(-23.0, abs=0.1)
    assert loudness(np.zeros((2, 5 * RATE), np.float32)) is None


@pytest.mark.parametrize("decibels", [-18.0, -6.0, -0.3, 6.0])
def test_a_programme_comes_to_the_target(decibels: float) -> None:
    """Syllables of noise, a third of the time, as speech has them."""
    dice = np.random.default_rng(3)
    at = np.arange(20 * RATE) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 1.3 * at), 0, 1) ** 2 * 10 ** (decibels / 20)
    speech = np.repeat((dice.normal(0, 0.2, at.size) * syllables)[None], 2, axis=0).astype(np.float32)
    pieces = [speech[:, start : start + RATE] for start in range(0, speech.shape[1], RATE)]
    told: list[float] = []
    gain = measure(iter(pieces), told.append, speech.shape[1])
    out = np.concatenate([*mastered(iter(pieces), gain)], axis=1)
    assert out.shape == speech.shape and told[-1] == 1.0
    assert loudness(out) == pytest.approx(TARGET_LUFS, abs=1.0)
    assert true_peak(out) <= CEILING * 1.02


def test_silence_stays_silence_and_a_quiet_room_is_not_made_a_programme() -> None:
    assert gain_to_target(None) == 1.0
    assert gain_to_target(-65.0) == pytest.approx(10.0)
