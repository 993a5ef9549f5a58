"""Triton's Python backend: the encoder (copied to whisper_encoder/1/model.py). See config.pbtxt beside it."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


class TritonPythonModel:
    """The model, loaded once per instance. `execute` gets a dynamic batch of requests, each with one clip."""

    def initialize(self, args: dict[str, str]) -> None:
        directory = Path(args["model_repository"]) / args["model_version"]
        sys.path.insert(0, str(directory))
        # Modules beside this file, found through the path above:
        from inference.speech import mel, whisper  # noqa: PLC0415
        from inference.triton import tensors  # noqa: PLC0415

        self._whisper, self._tensors, self._rate = whisper, tensors, mel.SAMPLE_RATE
        parameters = json.loads(args["model_config"])["parameters"]
        gpu = args["model_instance_kind"] == "GPU"
        self._model = whisper.WhisperEncoder(directory, int(parameters["threads"]["string_value"]), gpu=gpu)

    def execute(self, requests: list[Any]) -> list[Any]:
        pcm = [self._tensors.read(request, "PCM") for request in requests]
        rows = [row for block in pcm for row in block]
        clips = [self._whisper.Clip(row.astype(np.float32) / np.float32(32768)) for row in rows]
        cross = self._model.encode(self._whisper.features(clips, len(rows[0]) // self._rate))
        flat = np.stack([cross[name].reshape(len(rows), -1) for name in self._model.outputs], axis=1)
        responses, start = [], 0
        for block in pcm:
            responses.append(self._tensors.response("CROSS", flat[start : start + len(block)]))
            start += len(block)
        return responses
