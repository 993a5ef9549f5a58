"""A detector on a real Triton: a toy that measures loudness carries a file's speech through to a marked verdict."""

import asyncio
import contextlib
import io
from pathlib import Path

import aiohttp
import pytest

from inference.config import InferenceConfig
from inference.main import Inference
from tests.inference.material import prompt
from tests.inference.synthetic.test_detector import CARD
from tests.inference.test_http_api import wav
from tests.support.triton import triton_server

MODEL = """
import numpy as np
import triton_python_backend_utils as triton

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = triton.get_input_tensor_by_name(request, "WINDOW")
            loud = np.array([np.abs(np.from_dlpack(tensor)).mean() > 0.03], np.float32).reshape(1, 1)
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


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    version = tmp_path / "repository" / "toy" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(MODEL)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    return tmp_path / "repository"


async def test_a_file_gets_a_verdict_marked_as_no_evidence(repository: Path, models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(CARD)
    with triton_server(repository, tmp_path / "server") as server:
        inference = Inference(
            InferenceConfig(
                sink_socket=tmp_path / "none.sock", models_dir=models_dir, node_secret="s", api_port=0,
                triton_urls=(server.grpc,), voice_detector_card=tmp_path / "card.toml",
            )
        )  # fmt: skip
        task = asyncio.create_task(inference.run(lambda: None))
        async with asyncio.timeout(120):
            while inference.api is None or not inference.api.port or not inference.state[0]:
                await asyncio.sleep(0.05)
        spoken = prompt("queue-periodic-announce").samples
        verdicts = []
        address = f"http://127.0.0.1:{inference.api.port}/ai/v1/synthesis"
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer s"}) as session:
            for body in (wav(spoken), wav(spoken * 0.1), wav(spoken[:20_000])):
                async with session.post(address, data=io.BytesIO(body)) as response:
                    assert response.status == 200, await response.text()
                    verdicts.append((await response.json())["verdict"])
            async with session.post(address + "?medium=face") as response:
                face = (await response.json())["verdict"]
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
    assert face["text"] == "no verdict (no model)"
