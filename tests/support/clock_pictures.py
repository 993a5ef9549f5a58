"""Pictures of 1280×720 that show the time at which they were made, readable after any encoder and scaler."""

import time

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 1280, 720
_BITS = 32
_TOP, _BOTTOM = 300, 420


def milliseconds() -> int:
    """Return the wall clock (ms), as much of it as a picture shows."""
    return time.time_ns() // 1_000_000 % (1 << _BITS)


def _background(shift: int) -> npt.NDArray[np.uint8]:
    across, down = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    return (64 + (across + down + shift) % 128).astype(np.uint8)


_BACKGROUNDS = [_background(4 * number) for number in range(32)]


def drawn(number: int) -> npt.NDArray[np.uint8]:
    """Return a picture (720, 1280, of grey levels) with the present time in 32 bars, and a background that moves."""
    picture = _BACKGROUNDS[number % len(_BACKGROUNDS)].copy()
    now = milliseconds()
    bars = [235 if now >> bit & 1 else 16 for bit in range(_BITS)]
    picture[_TOP:_BOTTOM] = np.repeat(np.array(bars, np.uint8), WIDTH // _BITS)
    return picture


def age(luma: npt.NDArray[np.uint8]) -> int:
    """Return how long ago a picture of any size was made (ms)."""
    height, width = luma.shape
    row = luma[height * (_TOP + _BOTTOM) // 2 // HEIGHT]
    middles = (np.arange(_BITS) * 2 + 1) * width // (2 * _BITS)
    shown = sum(1 << bit for bit, at in enumerate(middles) if row[at] > 125)
    return (milliseconds() - shown) % (1 << _BITS)
