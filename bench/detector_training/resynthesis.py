"""Artificial versions of natural speech, made by vocoders: the last step of voice conversion and cloning."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inference.synthetic.features import RATE, Floats

_FRAME, _STEP = 1024, 256
_ORDER = 18
Spectra = NDArray[np.complex128]
Doubles = NDArray[np.float64]
Vocoder = Callable[[Floats, np.random.Generator], Floats]


def _analyse(sound: Floats) -> Spectra:
    padded = np.pad(sound.astype(np.float64), (_FRAME // 2, _FRAME))
    starts = np.arange(0, len(padded) - _FRAME + 1, _STEP)
    frames: Doubles = padded[starts[:, None] + np.arange(_FRAME)]
    return np.fft.rfft(frames * np.hanning(_FRAME))


def _synthesise(spectra: Spectra, length: int) -> Doubles:
    window = np.hanning(_FRAME)
    frames = np.fft.irfft(spectra, _FRAME) * window
    sound = np.zeros(_STEP * (len(frames) - 1) + _FRAME)
    weight = np.full(len(sound), 1e-6)
    for index, frame in enumerate(frames):
        sound[index * _STEP :][:_FRAME] += frame
        weight[index * _STEP :][:_FRAME] += window**2
    whole: Doubles = sound / weight
    return whole[_FRAME // 2 :][:length]


def _mel_weights(bands: int) -> Doubles:
    """Return triangular filters on the mel scale, [bands, bins]."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1) * _FRAME / RATE
    bins = np.arange(_FRAME // 2 + 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall))


def _through_mel(magnitude: Doubles, bands: int) -> Doubles:
    """Return magnitudes reduced to mel bands and expanded again."""
    weights = _mel_weights(bands)
    back = weights.T / np.maximum(weights.sum(axis=0)[:, None], 1e-6)
    mel = magnitude @ weights.T / np.maximum(weights.sum(axis=1), 1e-6)
    smooth: Doubles = mel @ back.T
    return smooth


def griffin_lim(sound: Floats, dice: np.random.Generator) -> Floats:
    """Reconstruct phases for the magnitudes of mel bands (Griffin and Lim, 1984)."""
    magnitude = _through_mel(np.abs(_analyse(sound)), int(dice.integers(60, 129)))
    spectra = magnitude * np.exp(2j * np.pi * dice.random(magnitude.shape))
    for _ in range(int(dice.integers(8, 40))):
        again = _analyse(_synthesise(spectra, len(sound)).astype(np.float32))[: len(magnitude)]
        spectra = magnitude * again / (np.abs(again) + 1e-9)
    return _synthesise(spectra, len(sound)).astype(np.float32)


def source_filter(sound: Floats, dice: np.random.Generator) -> Floats:
    """Filter pulses or noise with the envelope of linear prediction (as LPC-10 does)."""
    excitation = _excitation(sound, dice)
    source = _analyse(excitation)
    envelope = np.stack([_envelope(frame) for frame in np.abs(_analyse(sound)) ** 2])
    flat = source / np.maximum(np.sqrt(np.mean(np.abs(source) ** 2, axis=1, keepdims=True)), 1e-6)
    return _synthesise(flat * envelope, len(sound)).astype(np.float32)


def random_phase(sound: Floats, dice: np.random.Generator) -> Floats:
    """Keep the magnitudes and let phases drift: a phase vocoder without phase locking."""
    spectra = _analyse(sound)
    drift = np.cumsum(dice.normal(0, 0.6, spectra.shape), axis=0)
    return _synthesise(spectra * np.exp(1j * drift), len(sound)).astype(np.float32)


def channel_vocoder(sound: Floats, dice: np.random.Generator) -> Floats:
    """Shape noise and pulses in mel bands (Dudley, 1939)."""
    source = _analyse(_excitation(sound, dice))
    wanted = _through_mel(np.abs(_analyse(sound)), int(dice.integers(24, 41)))
    present = _through_mel(np.abs(source), 24)
    return _synthesise(source * wanted / np.maximum(present, 1e-4), len(sound)).astype(np.float32)


def _envelope(power: Doubles) -> Doubles:
    """Return the magnitudes of the all-pole filter that linear prediction fits to a frame's power spectrum."""
    correlation = np.fft.irfft(power)[: _ORDER + 1]
    correlation[0] = correlation[0] * 1.0001 + 1e-9
    lags = np.abs(np.subtract.outer(np.arange(_ORDER), np.arange(_ORDER)))
    taps = np.linalg.solve(correlation[lags], correlation[1:])
    gain = max(float(correlation[0] - taps @ correlation[1:]), 1e-12)
    response: Doubles = np.sqrt(gain) / np.abs(np.fft.rfft(np.concatenate(([1.0], -taps)), _FRAME))
    return response


def _excitation(sound: Floats, dice: np.random.Generator) -> Floats:
    """Return pulses at the voice's pitch where it has one, and noise elsewhere."""
    made = dice.normal(0, 1, len(sound))
    at = 0.0
    for start in range(0, len(sound) - 640, 160):
        lag = _lag(sound[start : start + 640])
        if lag:
            made[start : start + 160] *= 0.05
            at = max(at, start)
            while at < start + 160:
                made[int(at)] = np.sqrt(lag) * 3
                at += lag
    return made.astype(np.float32)


def _lag(frame: Floats) -> int:
    """Return the pitch period of a frame in samples, 0 if it has none."""
    spectrum = np.fft.rfft(frame - frame.mean(), 2048)
    own = np.fft.irfft(np.abs(spectrum) ** 2)[:320]
    best = int(np.argmax(own[40:])) + 40
    return best if own[best] > 0.4 * own[0] > 1e-3 else 0


VOCODERS: dict[str, Vocoder] = {
    "Griffin-Lim": griffin_lim,
    "source-filter": source_filter,
    "random phase": random_phase,
    "channel vocoder": channel_vocoder,
}
