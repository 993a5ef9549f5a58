"""Triton's Python backend: the detector of generated voices (copied to synthetic_voice/1/model.py)."""

import sys
from pathlib import Path
from typing import Any

import numpy as np


class TritonPythonModel:
    """The model, loaded once per instance. `execute` gets a dynamic batch of requests with one or more windows each."""

    def initialize(self, args: dict[str, str]) -> None:
        directory = Path(args["model_repository"]) / args["model_version"]
        sys.path.insert(0, str(directory))
        # Modules beside this file, found through the path above:
        from inference.synthetic import voice_model  # noqa: PLC0415
        from inference.triton import tensors  # noqa: PLC0415

        self._tensors = tensors
        self._model = voice_model.VoiceModel(directory)

    def execute(self, requests: list[Any]) -> list[Any]:
        blocks = [self._tensors.read(request, "WINDOW") for request in requests]
        scores = self._model.scores([row for block in blocks for row in block])
        column = np.array([[np.nan if score is None else score] for score in scores], np.float32)
        responses, start = [], 0
        for block in blocks:
            responses.append(self._tensors.response("SCORE", column[start : start + len(block)]))
            start += len(block)
        return responses
