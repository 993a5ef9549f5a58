"""Makes a Triton model repository from the fetched models: `parley models build`.

    DIR/whisper/             ensemble: encoder, then decoder
    DIR/whisper_encoder/1/   model.py, encoder.onnx, and the modules of inference.speech that it runs
    DIR/whisper_decoder/1/   model.py, decoder.onnx, vocabulary.json, config.json, the same modules

The Python backend runs the very code and graphs of the local engine, so the transcripts are the same. It needs numpy
and onnxruntime in Triton's Python. What goes in is verified by hash first.
"""

import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from inference.models import store
from inference.models.catalogue import Model

_SPEECH = ("__init__", "mel", "session", "transcript", "vocabulary", "whisper")
_MODULES = ("__init__", *(f"speech/{name}" for name in _SPEECH), "triton/__init__", "triton/tensors")
_PARTS = {
    "whisper_encoder": ("encoder_model", ("encoder.onnx",)),
    "whisper_decoder": ("decoder_model", ("decoder.onnx", "vocabulary.json", "config.json")),
}
_CROSS_TENSORS = 12  # keys and values of Whisper base's six decoder layers
_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where Triton runs the models: `kind` is cpu or gpu, with so many `instances` of so many `threads`."""

    kind: str = "cpu"
    instances: int = 1
    threads: int = 1


def build_repository(models_dir: Path, model: Model, target: Path, placement: Placement) -> str:
    """Write the repository to `target` and return the model's identity; raises ValueError and OSError."""
    found = store.problems(models_dir, model)
    if found:
        raise ValueError(f"{model.name} cannot be used: {'; '.join(found)}; run `parley models fetch`")
    source = store.directory(models_dir, model)
    identity = store.identity(source)
    with as_file(files("inference")) as package:
        for name in ("whisper", *_PARTS):
            template = (package / "triton" / "repository" / name / "config.pbtxt").read_text("utf-8")
            (target / name / _VERSION).mkdir(parents=True, exist_ok=True)
            (target / name / "config.pbtxt").write_text(_fill(template, identity, placement), "utf-8")
        for name, (code, data) in _PARTS.items():
            version = target / name / _VERSION
            shutil.copyfile(package / "triton" / f"{code}.py", version / "model.py")
            _copy_modules(package, version)
            for file in data:
                shutil.copyfile(source / file, version / file)
    return identity


def _copy_modules(package: Path, version: Path) -> None:
    for module in _MODULES:
        copy = version / "inference" / f"{module}.py"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / f"{module}.py", copy)


def _fill(template: str, identity: str, placement: Placement) -> str:
    values = {
        "IDENTITY": identity,
        "KIND": f"KIND_{placement.kind.upper()}",
        "INSTANCES": str(placement.instances),
        "THREADS": str(placement.threads),
        "CROSS_TENSORS": str(_CROSS_TENSORS),
    }
    for key, value in values.items():
        template = template.replace(f"@{key}@", value)
    return template
