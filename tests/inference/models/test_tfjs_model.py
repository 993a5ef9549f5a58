"""TensorFlow.js weights and graphs: reading, equal results, and refusals."""

import base64
import json
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.models.tfjs_model import convert, parse_manifest, read_weights


def encoded(*words: str) -> list[str]:
    return [base64.b64encode(word.encode()).decode() for word in words]


def graph(op: dict[str, Any], weights: dict[str, np.ndarray]) -> tuple[bytes, bytes]:
    """One operation between a 4 × 4 picture of two channels and the output."""
    dims = [{"size": size} for size in ("-1", "4", "4", "2")]
    nodes = [{"name": "in", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": dims}}}}, op]
    listed = [{"name": n, "shape": list(a.shape), "dtype": str(a.dtype)} for n, a in weights.items()]
    document = {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": ["x.bin"], "weights": listed}]}
    return json.dumps(document).encode(), b"".join(array.tobytes() for array in weights.values())


def run(text: bytes, data: bytes, image: np.ndarray, rank: int) -> np.ndarray:
    session = onnxruntime.InferenceSession(convert(text, data, ("out",), rank).SerializeToString())
    (made,) = session.run(None, {"image": image})
    return made


def test_a_convolution_with_bias_and_relu() -> None:
    kernel = np.arange(2 * 3, dtype=np.float32).reshape(1, 1, 2, 3) - 2
    bias = np.array([0.5, -1, 0], np.float32)
    attributes = {
        "strides": {"list": {"i": ["1", "2", "2", "1"]}},
        "padding": {"s": encoded("SAME")[0]},
        "fused_ops": {"list": {"s": encoded("BiasAdd", "Relu")}},
    }
    op = {"name": "out", "op": "_FusedConv2D", "input": ["in", "k", "b"], "attr": attributes}
    image = np.random.default_rng(1).standard_normal((2, 4, 4, 2)).astype(np.float32)
    made = run(*graph(op, {"k": kernel, "b": bias}), image, 4)
    expected = np.maximum(image[:, ::2, ::2] @ kernel[0, 0] + bias, 0)
    assert np.allclose(made.transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_a_reshape_sees_the_channels_last() -> None:
    op = {"name": "out", "op": "Reshape", "input": ["in", "s"]}
    image = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
    made = run(*graph(op, {"s": np.array([1, 16, 2], np.int32)}), image, 3)
    assert np.array_equal(made, image.reshape(1, 16, 2))


def test_a_mean_over_the_picture() -> None:
    op = {"name": "out", "op": "Mean", "input": ["in", "a"]}
    image = np.random.default_rng(2).standard_normal((1, 4, 4, 2)).astype(np.float32)
    made = run(*graph(op, {"a": np.array([1, 2], np.int32)}), image, 2)
    assert np.allclose(made, image.mean(axis=(1, 2)), atol=1e-6)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="the operation Erf"):
        convert(*graph({"name": "out", "op": "Erf", "input": ["in"]}, {}), ("out",), 4)


def test_weights_of_eight_bits() -> None:
    manifest = parse_manifest(
        b'[{"weights": [{"name": "w", "shape": [2], "dtype": "float32",'
        b' "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}}]}]'
    )
    assert read_weights(manifest, b"\x00\x04")["w"].tolist() == [-1, 1]
    for wrong in (b"\x00", b"\x00\x04\x05"):
        with pytest.raises(ValueError):
            read_weights(manifest, wrong)


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_anything_else_is_a_value_error(text: bytes, data: bytes) -> None:
    with pytest.raises(ValueError):
        convert(text, data, ("out",), 2)
