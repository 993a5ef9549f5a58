"""Synthetic-media detection by a model that the operator serves on Triton, described by a model card.

The model takes one window per request: voice as `WINDOW` FP32 [samples] (16 kHz mono), faces as `WINDOW` UINT8
[height, width, 3]; it answers `SCORE` FP32 [1], the calibrated probability that the window was generated.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from inference.engines.engine import EngineError
from inference.synthetic.detector import Medium, ModelCard, Window

_TIMEOUT_SECONDS = 30.0
FACE_SIZE = 224


@contextlib.asynccontextmanager
async def connected_detector(url: str, card: ModelCard) -> AsyncIterator["TritonDetector"]:
    """Yield the detector that `card` describes at `url`."""
    client = triton.InferenceServerClient(url)
    try:
        yield TritonDetector(client, card)
    finally:
        await client.close()


class TritonDetector:
    """A detector (inference.synthetic.detector.Detector). `client` is a connected aio client, owned by the caller."""

    def __init__(self, client: Any, card: ModelCard) -> None:
        self.card = card
        self._client = client

    async def score(self, windows: Sequence[tuple[int, int, bytes]]) -> list[Window]:
        """Return a score per (start_ms, end_ms, data); raises EngineError.

        Voice data is little-endian signed 16-bit at 16 kHz, face data FACE_SIZE × FACE_SIZE RGB.
        """
        return [Window(start, end, await self._one(data)) for start, end, data in windows]

    async def _one(self, data: bytes) -> float:
        array, kind = _window(self.card.medium, data)
        value = triton.InferInput("WINDOW", list(array.shape), kind)
        value.set_data_from_numpy(array)
        try:
            answer = await self._client.infer(
                self.card.name, [value], model_version=self.card.version, client_timeout=_TIMEOUT_SECONDS
            )
        except (InferenceServerException, ConnectionError) as error:
            raise EngineError(f"the detector {self.card.name} failed: {error}") from error
        score = answer.as_numpy("SCORE")
        if score is None or score.size != 1 or not 0 <= float(score.reshape(())) <= 1:
            raise EngineError(f"the detector {self.card.name} answered no probability")
        return float(score.reshape(()))


def _window(medium: Medium, data: bytes) -> tuple[Any, str]:
    if medium is Medium.VOICE:
        return np.frombuffer(data, "<i2").astype(np.float32)[None, :] / np.float32(32768), "FP32"
    return np.frombuffer(data, np.uint8).reshape(1, FACE_SIZE, FACE_SIZE, 3), "UINT8"
