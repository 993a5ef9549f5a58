"""Reader of CTranslate2's model.bin (format version 6), the form of Whisper's weights in the packages that we fetch.

Layout, little-endian: u32 version, string spec name, u32 revision, u32 n, n variables (string name, u8 rank, u32 per
dimension, u8 type, u32 bytes, data), u32 m, m aliases (string alias, string name). A string is u16 length including the
terminating zero, then its bytes. Source: `Model::load` in CTranslate2's src/models/model.cc.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_VERSION = 6
_MAX_VARIABLES = 10_000
_MAX_RANK = 8


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The spec's name ("WhisperSpec"), and the variables by name, including aliases."""

    spec: str
    tensors: dict[str, Tensor]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.offset = 0

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.offset:
            raise ValueError(f"truncated at byte {self.offset}: {size} more bytes announced")
        self.offset += size
        return self.data[self.offset - size : self.offset]

    def integer(self, form: str) -> int:
        value: int = struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]
        return value

    def string(self) -> str:
        raw = bytes(self.take(self.integer("H")))
        if not raw.endswith(b"\0"):
            raise ValueError(f"unterminated string before byte {self.offset}")
        return raw[:-1].decode()

    def tensor(self) -> Tensor:
        rank = self.integer("B")
        if rank > _MAX_RANK:
            raise ValueError(f"a tensor of rank {rank} before byte {self.offset}")
        shape = [self.integer("I") for _ in range(rank)]
        kind = self.integer("B")
        if kind not in _TYPES:
            raise ValueError(f"unknown element type {kind} before byte {self.offset}")
        raw = self.take(self.integer("I"))
        flat: Tensor = np.frombuffer(raw, dtype=_TYPES[kind])
        return flat.reshape(shape)


def parse(data: bytes) -> ModelFile:
    """Return the variables of a model.bin as views into `data`; raises ValueError for anything else."""
    reader = _Reader(data)
    version = reader.integer("I")
    if version != _VERSION:
        raise ValueError(f"CTranslate2 model version {version}, expected {_VERSION}")
    spec = reader.string()
    reader.integer("I")
    count = reader.integer("I")
    if count > _MAX_VARIABLES:
        raise ValueError(f"{count} variables announced")
    tensors: dict[str, Tensor] = {}
    for _ in range(count):
        name = reader.string()
        tensors[name] = reader.tensor()
    for _ in range(min(reader.integer("I"), _MAX_VARIABLES)):
        alias, name = reader.string(), reader.string()
        if name not in tensors:
            raise ValueError(f"alias {alias!r} of unknown variable {name!r}")
        tensors[alias] = tensors[name]
    if reader.offset != len(data):
        raise ValueError(f"{len(data) - reader.offset} bytes after the last alias")
    return ModelFile(spec, tensors)
