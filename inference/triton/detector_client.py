"""Detection of synthetic media by a model served on Triton and described by a model card.

The model takes one window per request: voice as `WINDOW` FP32 [samples] (16 kHz mono), faces as `WINDOW` UINT8 [height,
width, 3]; it answers `SCORE` FP32 [1], the calibrated probability that the window was generated, or NaN if the window
has too little content.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from inference.model_error import ModelError
from inference.synthetic.detector import Medium, ModelCard, Window

_TIMEOUT_SECONDS = 10.0
_WINDOWS_AT_ONCE = 8
"""Concurrent requests, which Triton's dynamic batching joins."""
FACE_SIZE = 224


@contextlib.asynccontextmanager
async def connected_detector(url: str, card: ModelCard, identity: str | None = None) -> AsyncIterator["TritonDetector"]:
    """Yield the detector that `card` describes at `url`. With `identity`, Triton must serve exactly those files."""
    client = triton.InferenceServerClient(url)
    try:
        yield TritonDetector(client, card, identity)
    finally:
        await client.close()


class TritonDetector:
    """A detector (inference.synthetic.detector.Detector). `client` is a connected aio client, owned by the caller."""

    def __init__(self, client: Any, card: ModelCard, identity: str | None = None) -> None:
        self.card = card
        self._client = client
        self._expected = identity

    async def score(self, windows: Sequence[tuple[int, int, bytes]]) -> list[Window]:
        """Return the windows with their scores, without those with too little content; raises ModelError.

        Voices are little-endian signed 16-bit samples at 16 kHz, faces are FACE_SIZE × FACE_SIZE RGB.
        """
        try:
            await self._check()
            scores: list[float] = []
            for first in range(0, len(windows), _WINDOWS_AT_ONCE):
                asked = windows[first : first + _WINDOWS_AT_ONCE]
                scores += await asyncio.gather(*(self._one(data) for _, _, data in asked))
        except (InferenceServerException, ConnectionError) as error:
            raise ModelError(f"the detector {self.card.name} failed: {error}") from error
        pairs = zip(windows, scores, strict=True)
        return [Window(start, end, score) for (start, end, _), score in pairs if not math.isnan(score)]

    async def _check(self) -> None:
        """Check once that Triton serves the expected model; raises ModelError if it serves another."""
        if self._expected is None:
            return
        answer = await self._client.get_model_config(self.card.name, as_json=True, client_timeout=_TIMEOUT_SECONDS)
        parameters = answer.get("config", {}).get("parameters", {})
        served = parameters.get("identity", {}).get("string_value")
        if served != self._expected:
            raise ModelError(f"Triton serves {served} as {self.card.name}, not {self._expected}")
        self._expected = None

    async def _one(self, data: bytes) -> float:
        array, kind = _window(self.card.medium, data)
        value = triton.InferInput("WINDOW", list(array.shape), kind)
        value.set_data_from_numpy(array)
        answer = await self._client.infer(
            self.card.name, [value], model_version=self.card.version, client_timeout=_TIMEOUT_SECONDS
        )
        score = answer.as_numpy("SCORE")
        if score is None or score.size != 1:
            raise ModelError(f"the detector {self.card.name} answered something other than a probability")
        found = float(score.reshape(()))
        if not math.isnan(found) and not 0 <= found <= 1:
            raise ModelError(f"the detector {self.card.name} answered something other than a probability")
        return found


def _window(medium: Medium, data: bytes) -> tuple[Any, str]:
    if medium is Medium.VOICE:
        return np.frombuffer(data, "<i2").astype(np.float32)[None, :] / np.float32(32768), "FP32"
    return np.frombuffer(data, np.uint8).reshape(1, FACE_SIZE, FACE_SIZE, 3), "UINT8"
