"""The network that turns inference.synthetic.features into the probability that a voice is generated.

It also runs in Triton.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from inference.speech.session import session_options
from inference.synthetic.features import Floats, features

GRAPH = "voice.onnx"


class VoiceModel:
    """The network in a directory; raises OSError or onnxruntime's errors if it is missing."""

    def __init__(self, directory: Path) -> None:
        self._session = onnxruntime.InferenceSession(
            (directory / GRAPH).read_bytes(), session_options(), providers=["CPUExecutionProvider"]
        )

    def scores(self, windows: Sequence[Floats]) -> list[float | None]:
        """Return a probability per window (16 kHz mono in ±1); None for a window with too little voice."""
        found = [features(window) for window in windows]
        rows = [row for row in found if row is not None]
        if not rows:
            return [None] * len(windows)
        answers = iter(self._session.run(None, {"FEATURES": np.stack(rows)})[0][:, 0])
        return [None if row is None else float(next(answers)) for row in found]
