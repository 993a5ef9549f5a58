"""Log-mel spectrogram as in Whisper's training: 16 kHz, windows of 400 samples, hop 160, 80 Slaney-scale bins.

Follows `log_mel_spectrogram` of openai/whisper (MIT). The filter bank is computed like librosa's `mel(htk=False,
norm="slaney")` instead of being shipped.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SAMPLE_RATE = 16_000
HOP = 160
_WINDOW = 400
_BINS = 80
_LINEAR_HZ_PER_MEL = 200 / 3
_LOG_START_HZ = 1000.0
_LOG_START_MEL = _LOG_START_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mels * _LINEAR_HZ_PER_MEL
    logarithmic = _LOG_START_HZ * np.exp(_LOG_STEP * (mels - _LOG_START_MEL))
    return np.where(mels >= _LOG_START_MEL, logarithmic, linear)


@cache
def filter_bank() -> Floats:
    """Return the triangular filters, [80, 201], each of unit area in hertz."""
    top = _LOG_START_MEL + np.log(SAMPLE_RATE / 2 / _LOG_START_HZ) / _LOG_STEP
    edges = _mel_to_hz(np.linspace(0, top, _BINS + 2))
    frequencies = np.linspace(0, SAMPLE_RATE / 2, _WINDOW // 2 + 1)
    slopes = edges[:, None] - frequencies[None, :]
    widths = np.diff(edges)
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


@cache
def _hann() -> Floats:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)


def log_mel(samples: Floats, window_samples: int) -> Floats:
    """Return [80, window_samples / 160] for 16 kHz samples in ±1, padded with silence to `window_samples`.

    `window_samples` is a multiple of 160; samples beyond it are cut.
    """
    padded = np.zeros(window_samples, np.float32)
    padded[: min(len(samples), window_samples)] = samples[:window_samples]
    padded = np.pad(padded, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:-1]
    spectrum = np.fft.rfft(frames.astype(np.float64) * _hann(), axis=1)  # numpy 1 and 2 differ in float32
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    logs = np.log10(np.maximum(filter_bank() @ power.T, 1e-10))
    floored: Floats = np.maximum(logs, logs.max() - 8.0)
    return (floored + 4.0) / 4.0
