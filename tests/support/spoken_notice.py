"""The spoken notice of a recording, searched for in what somebody heard."""

import io
from importlib.resources import files

import av
import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]
RATE = 8000
HEARD, NOT_HEARD = 0.4, 0.2
"""The least likeness if the notice was heard, and the greatest if it was not."""


def decoded(data: bytes) -> Sound:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(io.BytesIO(data)) as container:
        frames = [piece for frame in [*container.decode(audio=0), None] for piece in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def likeness(heard: Sound, notice: Sound) -> float:
    """Return the greatest normalised correlation of the notice with a part of what was heard."""
    if heard.size < notice.size:
        return 0.0
    size = heard.size + notice.size
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(notice, size)), size)[: heard.size]
    power = np.concatenate([[0.0], np.cumsum(heard.astype(np.float64) ** 2)])
    ends = np.minimum(np.arange(heard.size) + notice.size, heard.size)
    norms = np.sqrt((power[ends] - power[: heard.size]) * np.sum(notice.astype(np.float64) ** 2))
    return float(np.max(product / np.maximum(norms, 1e-3)))


def notice_of(language: str) -> Sound:
    return decoded((files("sfu.sounds") / f"recording-{language}.opus").read_bytes())
