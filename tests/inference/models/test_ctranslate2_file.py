"""The file of weights: read as written, and refused otherwise."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.models.ctranslate2_file import parse


def text(value: str) -> bytes:
    raw = value.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def write(
    tensors: dict[str, np.ndarray], aliases: dict[str, str], spec: str = "WhisperSpec", version: int = 6
) -> bytes:
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    out = struct.pack("<I", version) + text(spec) + struct.pack("<II", 3, len(tensors))
    for name, tensor in tensors.items():
        shape = struct.pack(f"<B{tensor.ndim}I", tensor.ndim, *tensor.shape)
        out += text(name) + shape + struct.pack("<BI", kinds[tensor.dtype.name], tensor.nbytes) + tensor.tobytes()
    out += struct.pack("<I", len(aliases))
    for alias, name in aliases.items():
        out += text(alias) + text(name)
    return out


SAMPLE = write({"a/weight": np.arange(6, dtype=np.float16).reshape(2, 3), "n": np.array(8, np.int8)}, {"b": "a/weight"})


def test_what_was_written_is_read() -> None:
    model = parse(SAMPLE)
    assert model.spec == "WhisperSpec"
    assert model.tensors["a/weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert model.tensors["n"].shape == ()
    assert model.tensors["b"] is model.tensors["a/weight"]


@pytest.mark.parametrize("size", range(len(SAMPLE)))
def test_a_cut_file_is_refused(size: int) -> None:
    with pytest.raises(ValueError):
        parse(SAMPLE[:size])


def test_more_than_the_file_is_refused() -> None:
    with pytest.raises(ValueError, match="after the last alias"):
        parse(SAMPLE + b"\0")


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 5"):
        parse(write({}, {}, version=5))


def test_an_alias_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown variable"):
        parse(write({}, {"b": "a"}))


@given(st.binary(max_size=200), st.integers(0, len(SAMPLE)), st.integers(0, 20))
def test_any_bytes_are_read_or_refused(data: bytes, at: int, cut: int) -> None:
    for candidate in (data, SAMPLE[:at] + data + SAMPLE[at + cut :]):
        try:
            parse(candidate)
        except ValueError:
            continue
