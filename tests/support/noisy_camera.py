"""A camera with a high bitrate: moving noise in a file, for Chromium's `--use-file-for-fake-video-capture`.

Chromium's own fake camera is so plain that no encoder spends more than a few hundred kbit/s on it. The file is Motion
JPEG, since Chromium 156 plays a Y4M file only once, and then its camera freezes.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_FRAMES = 30


def write_noisy_video(
    path: Path, width: int = 1280, height: int = 720, seed: int = 1, *, contrast: int = 88, flicker: int = 12
) -> None:
    """Write a loop of 30 frames, one second: coarse noise that drifts, with fine noise that flickers.

    `path` ends in .mjpeg. With the usual contrast, 180 lines do not fit into 150 kbps even with the coarsest quantizer:
    an encoder sends 7 frames per second. With 12 and a flicker of 4, it sends all 30, also at 360 lines and 250 kbps.
    """
    if path.suffix != ".mjpeg":
        raise ValueError("Chromium recognises formats by their suffix")
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
    context.time_base = Fraction(1, _FRAMES)
    context.qmin = context.qmax = 3
    dice = np.random.default_rng(seed)
    coarse = dice.integers(128 - contrast, 128 + contrast, (-(-height // 16), width // 16), dtype=np.uint8)
    picture = np.kron(coarse, np.ones((16, 16), dtype=np.uint8))[:height]
    chroma = np.full((height // 2, width), 128, np.uint8)
    with path.open("wb") as file:
        for number in range(_FRAMES):
            moved = np.roll(picture, (number * height // _FRAMES, number * width // _FRAMES), (0, 1))
            noise = dice.integers(-flicker, flicker + 1, moved.shape, dtype=np.int16)
            luma = np.clip(moved.astype(np.int16) + noise, 16, 235).astype(np.uint8)
            image = av.VideoFrame.from_ndarray(np.vstack([luma, chroma]), "yuvj420p")
            image.pts = number
            for packet in context.encode(image):
                file.write(bytes(packet))
