"""A look-ahead limiter: no peak exceeds the ceiling, and the gain changes too slowly to be audible as distortion.

Peaks are true peaks (ITU-R BS.1770, annex 2: four times oversampled), the ceiling is that of EBU R 128. The required
attenuation is held for the look-ahead time, falls slowly, and is smoothed. Sound can be passed in pieces of any length:
state is kept between them, so their borders are inaudible.
"""

import numpy as np
import numpy.typing as npt

from recorder.compose.samples import RATE, Samples

CEILING_DB = -1.0
_AHEAD = RATE // 100
_BOX = _AHEAD // 2
"""Two consecutive box filters smooth over at most the look-ahead, so the ceiling holds."""
_HISTORY = 2 * (_BOX - 1)
_RELEASE = 20.0 / RATE
"""The release rate, in dB per sample."""
_PHASES = 4
_REACH = 8
"""The number of samples on either side for interpolating a value between two samples."""
_LATENCY = _AHEAD - 1 + _REACH

_Decibels = npt.NDArray[np.float64]


class Limiter:
    """`process` returns the samples that are ready, slightly fewer than were passed; `flush` returns the rest."""

    def __init__(self) -> None:
        self._held: Samples = np.zeros((2, _REACH + _AHEAD), np.float32)
        self._lead = _AHEAD  # silence before the sound, so that the gain is reduced in time for its beginning
        self._attenuation: _Decibels = np.zeros(_HISTORY)

    def process(self, samples: Samples) -> Samples:
        """Process the next (2, n) samples; return the next limited ones."""
        ready = self._limited(samples)
        lead = min(self._lead, ready.shape[1])
        self._lead -= lead
        return ready[:, lead:]

    def _limited(self, samples: Samples) -> Samples:
        data = np.concatenate([self._held, samples], axis=1)
        count = data.shape[1] - _REACH - _LATENCY
        if count <= 0:
            self._held = data
            return np.zeros((2, 0), np.float32)
        needed = _needed(data)
        self._held = data[:, count:]
        ready = data[:, _REACH : _REACH + count]
        if not needed.any() and not self._attenuation.any():
            return ready
        smooth = self._smoothed(_highest_ahead(needed, count))
        return np.asarray(ready * 10 ** (-smooth / 20), np.float32)

    def flush(self) -> Samples:
        """Return the rest of the sound; no samples may follow."""
        return self.process(np.zeros((2, _LATENCY), np.float32))

    def _smoothed(self, held: _Decibels) -> _Decibels:
        """Return the smoothed attenuation: never less than the held one, and falling slowly."""
        fall = _RELEASE * np.arange(held.size + 1)
        risen = np.concatenate([self._attenuation[-1:], held]) + fall
        falling = (np.maximum.accumulate(risen) - fall)[1:]
        whole = np.concatenate([self._attenuation, np.maximum(falling, 0.0)])
        self._attenuation = whole[-_HISTORY:]
        return _box(_box(whole))


def _needed(data: Samples) -> _Decibels:
    """Return the required attenuation of each sample in dB, except for `_REACH` samples at either end."""
    width = data.shape[1] - 2 * _REACH
    peaks = np.abs(data[:, _REACH : _REACH + width]).max(axis=0)
    ceiling = 10 ** (CEILING_DB / 20)
    if np.abs(data).max(initial=0.0) > 0.5 * ceiling:  # peaks between samples are less than twice as high
        for taps in _INTERPOLATION:
            for channel in data:
                between = np.abs(np.convolve(channel, taps, "valid"))  # after sample _REACH - 1 and every later one
                np.maximum(peaks, between[1 : width + 1], out=peaks)
                np.maximum(peaks, between[:width], out=peaks)
    return np.asarray(20 * np.log10(np.maximum(peaks.astype(np.float64) / ceiling, 1.0)))


def _highest_ahead(needed: _Decibels, count: int) -> _Decibels:
    """Return for each of `count` samples the maximum of it and of the following `_AHEAD` - 1."""
    highest, reach = needed, 1
    while reach < _AHEAD:
        step = min(reach, _AHEAD - reach)
        highest = np.maximum(highest[:-step], highest[step:])
        reach += step
    return highest[:count]


def _box(values: _Decibels) -> _Decibels:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((sums[_BOX:] - sums[:-_BOX]) / _BOX)


def _interpolation() -> list[npt.NDArray[np.float32]]:
    """Return filters for the values at a quarter, a half and three quarters between two samples."""
    places = np.arange(-_REACH + 1, _REACH + 1)
    filters = []
    for phase in range(1, _PHASES):
        at = places - phase / _PHASES
        taps = np.sinc(at) * np.cos(np.pi * at / (2 * _REACH + 1)) ** 2
        filters.append((taps / taps.sum())[::-1].astype(np.float32))
    return filters


_INTERPOLATION = _interpolation()
