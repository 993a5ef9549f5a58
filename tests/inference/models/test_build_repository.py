"""The model repository for Triton: its models have batching, a version, a warm-up and instances; damage is found."""

import re
from pathlib import Path

import pytest

from inference.models import catalogue, store
from inference.models.fetch import fetch
from inference.triton.build import Instance, add_detector
from parley import models_command

MODEL = catalogue.load().named("synthetic-voice")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    fetch(MODEL, tmp_path / "models", lambda _: None)
    return tmp_path / "models"


@pytest.fixture(scope="module")
def repository(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("built")
    command = ["build", "--models-dir", str(models_dir), "--triton", str(path), "--device", "gpu", "--instances", "2"]
    assert models_command.run(command) == 0
    return path


@pytest.mark.parametrize("name", ["whisper_encoder", "whisper_decoder"])
def test_each_part_is_batched_warmed_up_and_placed(repository: Path, name: str) -> None:
    config = (repository / name / "config.pbtxt").read_text()
    for wanted in ("dynamic_batching", "version_policy", "model_warmup"):
        assert wanted in config
    assert "kind: KIND_GPU count: 2" in config
    assert not re.search(r"@[A-Z_]+@", config)
    assert (repository / name / "1" / "model.py").is_file()


def test_the_detector_runs_on_the_processor_and_joins_only_where_it_was_fetched(
    repository: Path, models: Path, tmp_path: Path
) -> None:
    assert not (repository / "synthetic_voice").exists()
    add_detector(models, MODEL, tmp_path / "built", Instance("gpu", 3))
    config = (tmp_path / "built" / "synthetic_voice" / "config.pbtxt").read_text()
    assert "kind: KIND_CPU count: 3" in config
    assert store.identity(store.directory(models, MODEL)) in config


def test_a_damaged_model_is_not_built_in(models: Path, tmp_path: Path) -> None:
    graph = store.directory(models, MODEL) / "voice.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"voice\.onnx: SHA-256 is .*, expected .*run `parley models fetch`"):
        add_detector(models, MODEL, tmp_path / "built", Instance())
    assert not (tmp_path / "built").exists()
