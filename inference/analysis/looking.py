"""Analysis of a picture or an utterance, in a worker: faces, their expressions, the cues of a voice.

The nets are in the directory of the model `faces`; expressions and cues need the extra `emotion`.
"""

from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from inference import messages
from inference.analysis.expressions import Expressions
from inference.analysis.faces import Face, FaceFinder, Image, crop

Listen = Callable[[bytes], dict[str, float | None] | None]
CROP_SIDE = 224
"""Sides, in pixels, of the pictures that detectors of synthetic faces take."""


def emotion_installed() -> bool:
    """Return whether the extra `emotion` is installed."""
    return find_spec("scipy") is not None


class Looker:
    """Models of a worker. `emotion`: return expressions and cues; `crops`: return cut-out faces for a detector."""

    def __init__(self, directory: Path, *, emotion: bool, crops: bool) -> None:
        self._finder = FaceFinder(directory / "blazeface.onnx")
        self._expressions = Expressions(directory) if emotion else None
        self._crops = crops
        self._cues = voice_cues() if emotion else None

    def look(self, image: Image) -> tuple[messages.SeenFace, ...]:
        """Return the faces in a picture, largest first."""
        return tuple(self._seen(image, face) for face in self._finder.find(image))

    def listen(self, pcm: bytes) -> dict[str, float | None] | None:
        """Return the cues of an utterance (16 kHz mono, signed 16-bit); None if there are none or none are wanted."""
        return None if self._cues is None else self._cues(pcm)

    def _seen(self, image: Image, face: Face) -> messages.SeenFace:
        height, width = image.shape[:2]
        return messages.SeenFace(
            left=round(face.left / width, 4),
            top=round(face.top / height, 4),
            width=round(face.side / width, 4),
            height=round(face.side / height, 4),
            score=face.score,
            expressions=() if self._expressions is None else tuple(map(float, self._expressions.of(image, face))),
            crop=crop(image, face, CROP_SIDE).tobytes() if self._crops else b"",
        )


def voice_cues() -> Listen:
    """Return the function that computes an utterance's cues; raises ImportError without the extra `emotion`."""
    from inference.analysis import prosody  # noqa: PLC0415  needs the extra `emotion`

    def listen(pcm: bytes) -> dict[str, float | None] | None:
        cues = prosody.cues_of(np.frombuffer(pcm, "<i2"))
        return None if cues is None else asdict(cues)

    return listen
