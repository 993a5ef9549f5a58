"""Triton's Python backend: the decoder (copied to whisper_decoder/1/model.py). See config.pbtxt beside it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np


class TritonPythonModel:
    """The model, loaded once per instance. `execute` gets a dynamic batch of requests, each with one or more clips."""

    def initialize(self, args: dict[str, str]) -> None:
        directory = Path(args["model_repository"]) / args["model_version"]
        sys.path.insert(0, str(directory))
        # Modules beside this file, found through the path above:
        from inference.speech import whisper  # noqa: PLC0415
        from inference.triton import tensors  # noqa: PLC0415

        self._whisper, self._tensors = whisper, tensors
        parameters = json.loads(args["model_config"])["parameters"]
        gpu = args["model_instance_kind"] == "GPU"
        self._model = whisper.WhisperDecoder(directory, int(parameters["threads"]["string_value"]), gpu=gpu)

    def execute(self, requests: list[Any]) -> list[Any]:
        cross = [self._tensors.read(request, "CROSS") for request in requests]
        clips = [
            clip for request, block in zip(requests, cross, strict=True) for clip in self._clips(request, len(block))
        ]
        try:
            transcripts = self._model.decode(clips, self._layers(cross))
        except ValueError as error:
            return self._one_by_one(requests, cross, error)
        answers = [json.dumps(asdict(transcript)).encode() for transcript in transcripts]
        responses, start = [], 0
        for block in cross:
            responses.append(self._response(answers[start : start + len(block)]))
            start += len(block)
        return responses

    def _one_by_one(self, requests: list[Any], cross: list[Any], error: ValueError) -> list[Any]:
        """Answer a request that fails with the reason, and the others as usual."""
        if len(requests) > 1:
            return [response for request in requests for response in self.execute([request])]
        return [self._response([json.dumps({"error": str(error)}).encode()] * len(cross[0]))]

    def _clips(self, request: Any, count: int) -> list[Any]:
        samples, options = self._tensors.read(request, "SAMPLES"), self._tensors.read(request, "OPTIONS")
        clips = []
        for row in range(count):
            asked = json.loads(options[row].tobytes().rstrip(b"\0") or b"{}")
            silence = np.zeros(int(samples[row, 0]), np.float32)
            clips.append(self._whisper.Clip(silence, asked.get("language"), asked.get("prior")))
        return clips

    def _layers(self, cross: list[Any]) -> dict[str, Any]:
        """Return each layer's keys and values for all requests, joined with one copy."""
        heads, size = self._model.heads, self._model.head_size
        frames = cross[0].shape[2] // (heads * size)
        shapes = {"k": (-1, heads, size, frames), "v": (-1, heads, frames, size)}
        return {
            name: np.concatenate([block[:, index] for block in cross]).reshape(shapes[name.split("_")[1]])
            for index, name in enumerate(self._model.cross)
        }

    def _response(self, answers: list[bytes]) -> Any:
        width = max(map(len, answers))
        block = np.zeros((len(answers), width), np.uint8)
        for row, answer in enumerate(answers):
            block[row, : len(answer)] = np.frombuffer(answer, np.uint8)
        return self._tensors.response("TRANSCRIPT", block)
