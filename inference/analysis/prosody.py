"""Prosody of an utterance as cues: pitch, loudness, pauses. Part of the extra `emotion` (scipy).

No emotion is inferred from a voice, because no available model is reliable. Pitch is the autocorrelation's peak
(Boersma 1993, without its path search) in frames of 40 ms, in octaves around the speaker's median.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

RATE = 16_000
_FRAME = RATE // 25
_STEP = RATE // 100
_LOWEST_HZ, _HIGHEST_HZ = 70, 400
_VOICED = 0.5
_QUIET_DB = -50.0
LEAST_VOICED_FRAMES = 20


@dataclass(frozen=True, slots=True)
class Cues:
    """Cues of one utterance: pitch in Hz and its spread in semitones, loudness in dBFS and its spread in dB.

    The pitch is None if too little was voiced. `silence` is a fraction.
    """

    pitch_hz: float | None
    pitch_spread: float | None
    loudness_db: float
    loudness_spread: float
    pauses: float


def cues_of(samples: NDArray[np.int16]) -> Cues | None:
    """Return the cues of 16 kHz mono samples, or None for less than a frame."""
    if len(samples) < _FRAME:
        return None
    sound = samples.astype(np.float32) / 32768
    starts = np.arange(0, len(sound) - _FRAME + 1, _STEP)
    frames = sound[starts[:, None] + np.arange(_FRAME)]
    levels = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-10)
    loud = levels > _QUIET_DB
    if not loud.any():
        return Cues(None, None, round(float(levels.max()), 1), 0.0, 1.0)
    pitches = _pitches(frames[loud])
    pitch = spread = None
    if len(pitches) >= LEAST_VOICED_FRAMES:
        middle = float(np.median(pitches))
        pitch, spread = round(middle, 1), round(float(np.std(12 * np.log2(pitches / middle))), 2)
    return Cues(
        pitch, spread, round(float(np.mean(levels[loud])), 1), round(float(np.std(levels[loud])), 1),
        round(float(1 - loud.mean()), 3),
    )  # fmt: skip


def _pitches(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the pitch of each voiced frame, with octave errors removed by a median over five frames."""
    window = signal.windows.hann(_FRAME)
    own = _autocorrelation(window[None, :])[0]
    found = []
    for row in _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window):
        normal = row / max(float(row[0]), 1e-9) / np.maximum(own / own[0], 1e-3)
        low, high = RATE // _HIGHEST_HZ, RATE // _LOWEST_HZ
        peaks, properties = signal.find_peaks(normal[low:high], height=_VOICED)
        if len(peaks):
            # the shortest lag that is nearly as good as the best, since longer ones are its multiples
            heights = properties["peak_heights"]
            found.append(RATE / (low + int(peaks[np.flatnonzero(heights >= 0.9 * heights.max())[0]])))
    return signal.medfilt(np.array(found), 5)[2:-2] if len(found) > 5 else np.array(found)


def _autocorrelation(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(frames, 2 * _FRAME)
    return np.fft.irfft(np.abs(spectrum) ** 2)[:, :_FRAME]
