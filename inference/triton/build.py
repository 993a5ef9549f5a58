"""Building of a Triton model repository from the fetched models: `parley models build`.

    DIR/whisper/             ensemble: encoder, then decoder
    DIR/whisper_encoder/1/   model.py, encoder.onnx, and the modules of inference.speech that it runs
    DIR/whisper_decoder/1/   model.py, decoder.onnx, vocabulary.json, config.json, the same modules
    DIR/synthetic_voice/1/   model.py, voice.onnx, and the modules of inference.synthetic that it runs

The Python backend runs the same code and graphs as the local recogniser, so the answers are the same. It needs numpy
and onnxruntime in Triton's Python. All input files are first verified by hash.
"""

import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from inference.models import store
from inference.models.catalogue import Model

_SPEECH = ("__init__", "mel", "session", "transcript", "vocabulary", "whisper", "word_times")
_TRITON = ("__init__", "triton/__init__", "triton/tensors")
_RECOGNISES = (*_TRITON, *(f"speech/{name}" for name in _SPEECH))
_DETECTS = (
    *_TRITON, "speech/__init__", "speech/session",
    *(f"synthetic/{name}" for name in ("__init__", "features", "voice_model")),
)  # fmt: skip
_CROSS_TENSORS = 12  # keys and values of Whisper base's six decoder layers
_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Instance:
    """Triton's instances of a model: `count` of them on `kind` (cpu or gpu), with `threads` threads each."""

    kind: str = "cpu"
    count: int = 1
    threads: int = 1


@dataclass(frozen=True, slots=True)
class _Part:
    """A model in the repository: its model.py, and the modules and files beside that. An ensemble has none of them."""

    name: str
    code: str = ""
    modules: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


_SPEECH_PARTS = (
    _Part("whisper"),
    _Part("whisper_encoder", "encoder_model", _RECOGNISES, ("encoder.onnx",)),
    _Part("whisper_decoder", "decoder_model", _RECOGNISES, ("decoder.onnx", "vocabulary.json", "config.json")),
)
_DETECTOR_PARTS = (_Part("synthetic_voice", "detector_model", _DETECTS, ("voice.onnx",)),)


def build_repository(models_dir: Path, model: Model, target: Path, instance: Instance) -> str:
    """Write the speech recogniser to `target` and return its identity; raises ValueError and OSError."""
    return _build(models_dir, model, target, instance, _SPEECH_PARTS)


def add_detector(models_dir: Path, model: Model, target: Path, instance: Instance) -> str:
    """Write the detector of generated voices to `target` and return its identity; raises ValueError and OSError."""
    return _build(models_dir, model, target, instance, _DETECTOR_PARTS)


def _build(models_dir: Path, model: Model, target: Path, instance: Instance, parts: tuple[_Part, ...]) -> str:
    found = store.problems(models_dir, model)
    if found:
        raise ValueError(f"{model.name} cannot be used: {'; '.join(found)}; run `parley models fetch`")
    source = store.directory(models_dir, model)
    identity = store.identity(source)
    with as_file(files("inference")) as package:
        for part in parts:
            template = (package / "triton" / "repository" / part.name / "config.pbtxt").read_text("utf-8")
            version = target / part.name / _VERSION
            version.mkdir(parents=True, exist_ok=True)
            (target / part.name / "config.pbtxt").write_text(_fill(template, identity, instance), "utf-8")
            if part.code:
                shutil.copyfile(package / "triton" / f"{part.code}.py", version / "model.py")
            _copy_modules(package, version, part.modules)
            for file in part.data:
                shutil.copyfile(source / file, version / file)
    return identity


def _copy_modules(package: Path, version: Path, modules: tuple[str, ...]) -> None:
    for module in modules:
        copy = version / "inference" / f"{module}.py"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / f"{module}.py", copy)


def _fill(template: str, identity: str, instance: Instance) -> str:
    values = {
        "IDENTITY": identity,
        "KIND": f"KIND_{instance.kind.upper()}",
        "INSTANCES": str(instance.count),
        "THREADS": str(instance.threads),
        "CROSS_TENSORS": str(_CROSS_TENSORS),
    }
    for key, value in values.items():
        template = template.replace(f"@{key}@", value)
    return template
