"""A camera that costs bits: moving noise in a Y4M file, for Chromium's `--use-file-for-fake-video-capture`.

Chromium's own fake camera is so plain that no encoder spends more than a few hundred kbit/s on it.
"""

from pathlib import Path

import numpy as np

_FRAMES = 30


def write_noisy_video(path: Path, width: int = 1280, height: int = 720, seed: int = 1) -> None:
    """Write a second of 30 frames that loops: coarse noise drifts, fine noise flickers on it."""
    dice = np.random.default_rng(seed)
    coarse = dice.integers(40, 216, (height // 16, width // 16), dtype=np.uint8)
    picture = np.kron(coarse, np.ones((16, 16), dtype=np.uint8))
    chroma = np.full((height // 2) * (width // 2) * 2, 128, dtype=np.uint8).tobytes()
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(_FRAMES):
            moved = np.roll(picture, (number * height // _FRAMES, number * width // _FRAMES), (0, 1))
            noise = dice.integers(-12, 13, moved.shape, dtype=np.int16)
            luma = np.clip(moved.astype(np.int16) + noise, 16, 235).astype(np.uint8)
            file.write(b"FRAME\n" + luma.tobytes() + chroma)
