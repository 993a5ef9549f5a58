"""Silero VAD on onnxruntime: the probability of speech in each 32 ms of 16 kHz mono.

The model (MIT, Silero Team) takes 64 samples of context and 512 new ones, and carries an LSTM state. Several streams
are evaluated in one call; rows do not influence each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.speech.session import session_options

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]
SAMPLE_RATE = 16_000
CHUNK = 512
_CONTEXT = 64
_STATE = (2, 1, 128)
_SILENCE_PEAK = 8
"""Peak (−72 dBFS) up to which a chunk counts as silence without running the model."""


@dataclass(slots=True)
class VoiceState:
    """The model's state for one stream."""

    state: Floats = field(default_factory=lambda: np.zeros(_STATE, np.float32))
    context: Floats = field(default_factory=lambda: np.zeros(_CONTEXT, np.float32))


class VoiceActivity:
    """The loaded model; not bound to a stream."""

    def __init__(self, model: Path | bytes) -> None:
        source = model if isinstance(model, bytes) else str(model)
        self._session = onnxruntime.InferenceSession(source, session_options(), providers=["CPUExecutionProvider"])
        self._rate = np.array(SAMPLE_RATE, np.int64)

    def probabilities(self, chunks: Sequence[Samples], streams: Sequence[VoiceState]) -> list[float]:
        """Return the probability of speech in one chunk of CHUNK samples per stream, and update the streams."""
        results = [0.0] * len(chunks)
        audible: list[int] = []
        floats: list[Floats] = [chunk.astype(np.float32) / np.float32(32768) for chunk in chunks]
        for index, chunk in enumerate(chunks):
            if np.abs(chunk.astype(np.int32)).max() > _SILENCE_PEAK:
                audible.append(index)
            else:
                streams[index].context = floats[index][-_CONTEXT:]
        if not audible:
            return results
        rows = np.stack([np.concatenate((streams[index].context, floats[index])) for index in audible])
        state = np.concatenate([streams[index].state for index in audible], axis=1)
        output, new_state = self._session.run(None, {"input": rows, "state": state, "sr": self._rate})
        for row, index in enumerate(audible):
            results[index] = float(output[row, 0])
            streams[index].state = new_state[:, row : row + 1]
            streams[index].context = floats[index][-_CONTEXT:]
        return results
