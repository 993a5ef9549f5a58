"""A detector on a real Triton: a toy that measures loudness turns a file's speech into a marked verdict."""

import asyncio
import contextlib
import io
from pathlib import Path

import aiohttp
import pytest

from inference.config import InferenceConfig
from inference.main import Inference
from tests.inference.material import prompt
from tests.inference.portrait import empty, fetched_faces, film, portrait
from tests.inference.synthetic.test_detector import CARD
from tests.inference.test_http_api import wav
from tests.support.triton import triton_server
from tests.support.waiting import eventually

MODEL = """
import numpy as np
import triton_python_backend_utils as triton

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = triton.get_input_tensor_by_name(request, "WINDOW")
            given = np.from_dlpack(tensor)
            threshold = 0.03 if given.dtype == np.float32 else 10
            loud = np.array([np.abs(given).mean() > threshold], np.float32).reshape(1, 1)
            if int(np.__version__.split(".")[0]) >= 2:
                responses.append(triton.InferenceResponse([triton.Tensor.from_dlpack("SCORE", loud)]))
            else:
                responses.append(triton.InferenceResponse([triton.Tensor("SCORE", loud)]))
        return responses
"""
CONFIG = """
name: "toy"
backend: "python"
max_batch_size: 1
input [ { name: "WINDOW" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "SCORE" data_type: TYPE_FP32 dims: [ 1 ] } ]
"""
FACE_CONFIG = CONFIG.replace('"toy"', '"toy-faces"').replace("FP32 dims: [ -1 ]", "UINT8 dims: [ 224, 224, 3 ]")
FACE_CARD = CARD.replace('"toy"', '"toy-faces"').replace('"voice"', '"face"')


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, config in (("toy", CONFIG), ("toy-faces", FACE_CONFIG)):
        version = tmp_path / "repository" / name / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL)
        (version.parent / "config.pbtxt").write_text(config)
    return tmp_path / "repository"


async def test_a_file_gets_a_verdict_marked_as_no_evidence(repository: Path, models_dir: Path, tmp_path: Path) -> None:
    fetched_faces()
    (tmp_path / "card.toml").write_text(CARD)
    (tmp_path / "faces.toml").write_text(FACE_CARD)
    with triton_server(repository, tmp_path / "server") as server:
        inference = Inference(
            InferenceConfig(
                sink_socket=tmp_path / "none.sock", models_dir=models_dir, node_secret="s", api_port=0,
                triton_urls=(server.grpc,), voice_detector_card=tmp_path / "card.toml",
                face_detector_card=tmp_path / "faces.toml",
            )
        )  # fmt: skip
        task = asyncio.create_task(inference.run(lambda: None))
        await eventually(
            lambda: (
                inference.api is not None
                and inference.api.port
                and inference.state[0]
                and inference.analysis.wanted.video
            ),
            120,
        )
        spoken = prompt("queue-periodic-announce").samples
        verdicts = []
        address = f"http://127.0.0.1:{inference.api.port}/ai/v1/synthesis"
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer s"}) as session:
            for body in (wav(spoken), wav(spoken * 0.1), wav(spoken[:20_000])):
                async with session.post(address, data=io.BytesIO(body)) as response:
                    assert response.status == 200, await response.text()
                    verdicts.append((await response.json())["verdict"])
            faces = []
            for body in (film(portrait(), 5), film(empty(), 5)):
                async with session.post(address + "?medium=face", data=io.BytesIO(body)) as response:
                    assert response.status == 200, await response.text()
                    faces.append((await response.json())["verdict"])
            async with session.post(address, data=b"no media") as response:
                assert response.status == 422
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    loud, _, short = verdicts
    assert [verdict["outcome"] for verdict in verdicts] == ["likely synthetic", "likely authentic", "no verdict"]
    assert loud["text"] == "likely synthetic (demonstration model, not evidence)"
    assert loud["card"]["operating_point"]["synthetic_from"] == 0.8
    assert [window["score"] for window in loud["windows"]] == [1.0] * len(loud["windows"])
    assert short["text"] == "no verdict (too little evidence)"
    assert [face["outcome"] for face in faces] == ["likely synthetic", "no verdict"]
    assert faces[0]["text"].endswith("(demonstration model, not evidence)")
    assert [window["start_ms"] for window in faces[0]["windows"]] == [0, 1000, 2000, 3000, 4000]
