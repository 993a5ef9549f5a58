"""Building of a model's files from the members of its archives."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from inference.models import ctranslate2_file, face_graphs, whisper_graph
from inference.models.archive import ArchiveError
from inference.models.catalogue import Model

Builder = Callable[[Model, Path, Path], None]
"""Function of (model, directory of extracted members, directory to fill)."""


def tensors_sha256(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the hash of the weights, in order of name: name, element type, shape, little-endian bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{tensor.dtype.str}\0{','.join(map(str, tensor.shape))}\0".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def build_copy(model: Model, source: Path, target: Path) -> None:
    """Copy the members, which already are the model."""
    for member in (*(one for archive in model.archive for one in archive.member), *model.shipped):
        (target / member.target).write_bytes((source / member.target).read_bytes())


def build_whisper(model: Model, source: Path, target: Path) -> None:
    """Build encoder.onnx and decoder.onnx with 8-bit weights, vocabulary and settings from CTranslate2's parts."""
    raw = b"".join(part.read_bytes() for part in sorted(source.glob("model.bin.part*")))
    weights = ctranslate2_file.parse(raw)
    if weights.spec != "WhisperSpec":
        raise ArchiveError(f"{model.name}: the weights belong to a {weights.spec}, not to Whisper")
    found = tensors_sha256(weights.tensors)
    if found != model.tensors_sha256:
        raise ArchiveError(f"{model.name}: the weights' hash is {found}, expected {model.tensors_sha256}")
    heads = json.loads((source / "config.json").read_bytes())["alignment_heads"]
    onnx.save(whisper_graph.encoder(weights.tensors), str(target / "encoder.onnx"))
    onnx.save(whisper_graph.decoder(weights.tensors, heads), str(target / "decoder.onnx"))
    for name in ("vocabulary.json", "config.json"):
        (target / name).write_bytes((source / name).read_bytes())


def build_faces(model: Model, source: Path, target: Path) -> None:
    """Build blazeface.onnx, grey.onnx and colour.onnx from TensorFlow.js nets."""

    def pair(name: str) -> tuple[bytes, bytes]:
        return (source / f"{name}.json").read_bytes(), (source / f"{name}.bin").read_bytes()

    onnx.save(face_graphs.detector(*pair("blazeface")), str(target / "blazeface.onnx"))
    onnx.save(face_graphs.grey_classifier(*pair("emotion")), str(target / "grey.onnx"))
    onnx.save(face_graphs.colour_classifier(*pair("expression")), str(target / "colour.onnx"))


BUILDERS: dict[str, Builder] = {"copy": build_copy, "whisper": build_whisper, "faces": build_faces}
