"""Features for a detector of generated voices: the changes in a window's spectrum, not its average.

Averages only distinguish microphones. Generated voices differ in the smoothness of bands over time, in the noise within
bands, and in phases that do not continue from frame to frame. Only numpy is used, since the same file runs inside
Triton.
"""

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FRAME = 1024
STEP = 256
BANDS = 32
COUNT = BANDS * 6
_BELOW_LOUDEST = 4.0
"""Frames quieter than the loudest by this many powers of ten are pauses."""
LEAST_FRAMES = 20
Floats = NDArray[np.float32]


def features(samples: Floats) -> Floats | None:
    """Return COUNT features of 16 kHz mono samples in ±1, or None if too few of them are loud."""
    if len(samples) < FRAME + STEP * LEAST_FRAMES:
        return None
    spectra = _spectra(samples.astype(np.float64))
    power = np.abs(spectra) ** 2 + 1e-12
    loudness = power.sum(axis=1)
    loud = loudness > loudness.max() * 10**-_BELOW_LOUDEST
    if loud.sum() < LEAST_FRAMES or loudness.max() < 1e-3:
        return None
    cut = power[:, 1 : FRAME // 2 + 1].reshape(len(power), BANDS, -1)
    levels = np.log(cut.mean(axis=2))
    flatness = (np.log(cut).mean(axis=2) - levels)[loud]
    first, second = np.diff(levels, axis=0)[loud[1:]], np.diff(levels, 2, axis=0)[loud[2:]]
    levels = levels[loud]
    parts = (
        levels.std(axis=0),
        np.abs(first).mean(axis=0),
        np.abs(second).mean(axis=0),
        flatness.mean(axis=0),
        flatness.std(axis=0),
        _coherence(spectra, loud),
    )
    return np.concatenate(parts).astype(np.float32)


def _spectra(samples: NDArray[np.float64]) -> NDArray[np.complex128]:
    starts = np.arange(0, len(samples) - FRAME + 1, STEP)
    frames: NDArray[np.float64] = samples[starts[:, None] + np.arange(FRAME)]
    return np.fft.rfft(frames * np.hanning(FRAME))


def _coherence(spectra: NDArray[np.complex128], loud: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the steadiness of the phase of each band's strongest bin from frame to frame, 0 to 1."""
    unit = spectra / (np.abs(spectra) + 1e-9)
    turn = unit[2:] * np.conj(unit[1:-1]) ** 2 * unit[:-2]
    own = turn[:, 1 : FRAME // 2 + 1].reshape(len(turn), BANDS, -1)
    weight = np.abs(spectra[1:-1, 1 : FRAME // 2 + 1]).reshape(own.shape)
    strongest = np.take_along_axis(own, weight.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    kept: NDArray[np.float64] = np.real(strongest)[loud[1:-1]]
    return kept.mean(axis=0) if len(kept) else np.zeros(BANDS)
