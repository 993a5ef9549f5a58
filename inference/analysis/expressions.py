"""The expression of a face, from two classifiers whose probabilities are averaged.

They agree on about three faces in four, and only "happy" and "neutral" are dependable, which `mood` takes into account.
Part of the extra `emotion`.
"""

from pathlib import Path

import numpy as np
import onnxruntime

from inference.analysis.faces import Face, Floats, Image, crop
from inference.analysis.mood import EXPRESSIONS
from inference.speech.session import session_options

_GREY = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
_COLOUR = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
_GREY_SIDE, _COLOUR_SIDE = 64, 112
_LUMA = np.array([0.2989, 0.5870, 0.1140], np.float32)


class Expressions:
    """Both classifiers, loaded from the directory of the model `faces`."""

    def __init__(self, directory: Path) -> None:
        self._grey, self._colour = (
            onnxruntime.InferenceSession(
                str(directory / f"{name}.onnx"), session_options(), providers=["CPUExecutionProvider"]
            )
            for name in ("grey", "colour")
        )

    def of(self, image: Image, face: Face) -> Floats:
        """Return a probability for each of EXPRESSIONS."""
        grey = crop(image, face, _GREY_SIDE).astype(np.float32) / np.float32(255) @ _LUMA
        (first,) = self._grey.run(None, {"image": ((grey - np.float32(0.5)) * 2)[None, :, :, None]})
        colour = crop(image, face, _COLOUR_SIDE).astype(np.float32)
        (second,) = self._colour.run(None, {"image": colour[None]})
        return np.asarray((_ordered(first[0], _GREY) + _ordered(second[0], _COLOUR)) / 2, np.float32)


def _ordered(probabilities: Floats, names: tuple[str, ...]) -> Floats:
    return np.asarray(probabilities[[names.index(name) for name in EXPRESSIONS]], np.float32)
