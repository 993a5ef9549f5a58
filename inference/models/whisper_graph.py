"""Whisper as two ONNX graphs, built from its weights with only numpy and onnx.

* encoder: `mel` [batch, 80, 2·t] → `cross_k_i` [batch, heads, 64, t] and `cross_v_i` [batch, heads, t, 64] for each
  decoder layer i: the input of the decoder's cross attention, computed once per clip. Any t up to 1500.
* decoder: `tokens` [batch, n], `past_k_i`/`past_v_i` [batch, heads, p, 64], `cross_k_i`/`cross_v_i` → `logits`
  [batch, vocabulary] after the last token, `attention` [batch, alignment heads, t] of that token to the clip, and
  `present_k_i`/`present_v_i` [batch, heads, p + n, 64]. Alignment heads are those whose attention follows the speech.

Weights are float32 or 8 bits. In the encoder, each row of activations is quantised by its own peak and multiplied as
integers (MatMulInteger), with weights in ±63, so that processors without VNNI do not saturate. The decoder is limited
by reading weights rather than by computing, so its weights are in blocks of 32 with one scale each (onnxruntime's
MatMulNBits, which also quantises activations block by block). Either way, a row's result never depends on the rest of
its batch, as it would with dynamic quantisation by tensor. The model: Radford et al., "Robust Speech Recognition via
Large-Scale Weak Supervision", 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
_OPSET = 20
_IR_VERSION = 10
BLOCK = 32
HEAD_SIZE = 64
MEL_BINS = 80
_WEIGHT_PEAK = 63


class Precision(Enum):
    """Representation of weight matrices."""

    FLOAT = 0
    ROWS = 1  # integers, with one scale per row of activations and per column of weights
    BLOCKS = 2  # integers, with one scale per block of BLOCK weights


@dataclass(slots=True)
class _Graph:
    """Graph under construction. Methods append a node and return its output's name."""

    weights: dict[str, NDArray[Any]]
    precision: Precision
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def rename(self, name: str, output: str) -> None:
        """Make a value a graph output with this name."""
        self.nodes.append(helper.make_node("Identity", [name], [output], name=output))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant("int_" + "_".join(map(str, values)), np.array(values, np.int64))

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name].astype(np.float32))

    def quantized(self, name: str, matrix: Floats) -> tuple[str, str]:
        """Add `matrix` [n, k] as 8-bit blocks and their scales; return both names."""
        blocks = matrix.reshape(matrix.shape[0], -1, BLOCK)
        peak = np.abs(blocks).max(axis=2)
        scale = np.maximum(peak / 127, np.finfo(np.float32).tiny).astype(np.float32)
        codes = np.clip(np.rint(blocks / scale[:, :, None]) + 128, 0, 255).astype(np.uint8)
        return self.constant(name + "/codes", codes), self.constant(name + "/scales", scale)

    def matmul(self, value: str, name: str, matrix: Floats) -> str:
        """Multiply `value` [..., k] by the transpose of `matrix` [n, k]."""
        if self.precision is Precision.ROWS:
            return self.matmul_by_rows(value, name, matrix)
        if self.precision is Precision.FLOAT:
            return self.add("MatMul", value, self.constant(name + "/t", matrix.T))
        codes, scales = self.quantized(name, matrix)
        rows, columns = matrix.shape
        return self.add(
            "MatMulNBits", value, codes, scales, domain="com.microsoft",
            K=columns, N=rows, bits=8, block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip

    def matmul_by_rows(self, value: str, name: str, matrix: Floats) -> str:
        """Do the same with each row of `value` quantised by its own peak to 8 bits around 128."""
        scales = np.maximum(np.abs(matrix).max(axis=1) / _WEIGHT_PEAK, np.finfo(np.float32).tiny).astype(np.float32)
        codes = np.rint(matrix / scales[:, None]).astype(np.int8)
        peak = self.add("ReduceMax", self.add("Abs", value), self.integers(-1), keepdims=1)
        step = self.add("Mul", peak, self.constant("step", np.array(1 / 127, np.float32)))
        scale = self.add("Max", step, self.constant("least", np.array(1e-12, np.float32)))
        centre = self.constant("centre of a byte", np.array(128, np.float32))
        shifted = self.add("Add", self.add("Round", self.add("Div", value, scale)), centre)
        bytes_ = self.add("Cast", shifted, to=TensorProto.UINT8)
        zero = self.constant("zero point", np.array(128, np.uint8))
        product = self.add("MatMulInteger", bytes_, self.constant(name + "/codes", codes.T), zero)
        floats = self.add("Cast", product, to=TensorProto.FLOAT)
        return self.add("Mul", self.add("Mul", floats, self.constant(name + "/scales", scales)), scale)

    def linear(self, value: str, name: str, rows: slice = slice(None), scale: float = 1.0) -> str:
        """Apply the rows `rows` of layer `name`, with weight and bias multiplied by `scale`."""
        matrix = self.weights[name + "/weight"][rows].astype(np.float32) * np.float32(scale)
        bias = self.weights[name + "/bias"][rows].astype(np.float32) * np.float32(scale)
        tag = f"{name}[{rows.start or 0}:{rows.stop}]"
        return self.add("Add", self.matmul(value, tag, matrix), self.constant(tag + "/bias", bias))

    def norm(self, value: str, name: str) -> str:
        gamma, beta = self.weight(name + "/gamma"), self.weight(name + "/beta")
        return self.add("LayerNormalization", value, gamma, beta, axis=-1, epsilon=1e-5)

    def feed_forward(self, value: str, name: str) -> str:
        hidden = self.add("Gelu", self.linear(self.norm(value, name + "/layer_norm"), name + "/linear_0"))
        return self.add("Add", value, self.linear(hidden, name + "/linear_1"))

    def heads(self, value: str, permutation: tuple[int, int, int, int]) -> str:
        """Reshape [batch, t, width] to [batch, t, heads, 64], permuted."""
        return self.add("Transpose", self.add("Reshape", value, self.integers(0, 0, -1, HEAD_SIZE)), perm=permutation)

    def attention(self, query: str, key: str, mask: str | None = None) -> str:
        """Return the softmax attention [batch, heads, n, t] of queries [batch, heads, n, 64] to transposed keys."""
        scores = self.add("MatMul", query, key)
        if mask is not None:
            scores = self.add("Add", scores, mask)
        return self.add("Softmax", scores, axis=-1)

    def attended(self, attention: str, value: str) -> str:
        """Mix values [batch, heads, t, 64] by their attention; the result is [batch, n, width]."""
        rows = self.add("Transpose", self.add("MatMul", attention, value), perm=(0, 2, 1, 3))
        return self.add("Reshape", rows, self.integers(0, 0, -1))

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="parley")
        onnx.checker.check_model(model)
        return model


_ROWS = (0, 2, 1, 3)  # [batch, heads, t, 64]
_COLUMNS = (0, 2, 3, 1)  # [batch, heads, 64, t]
_SCALE = HEAD_SIZE**-0.5


def layer_count(weights: dict[str, NDArray[Any]], part: str) -> int:
    """Return the number of layers of `part` ("encoder" or "decoder")."""
    count = 0
    while f"{part}/layer_{count}/ffn/linear_0/weight" in weights:
        count += 1
    return count


def _value(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _cross_values(layers: int, heads: int) -> list[onnx.ValueInfoProto]:
    values = []
    for layer in range(layers):
        values.append(_value(f"cross_k_{layer}", TensorProto.FLOAT, "batch", heads, HEAD_SIZE, "frames"))
        values.append(_value(f"cross_v_{layer}", TensorProto.FLOAT, "batch", heads, "frames", HEAD_SIZE))
    return values


def _cache_values(prefix: str, layers: int, heads: int, length: str) -> list[onnx.ValueInfoProto]:
    return [
        _value(f"{prefix}_{part}_{layer}", TensorProto.FLOAT, "batch", heads, length, HEAD_SIZE)
        for layer in range(layers)
        for part in "kv"
    ]


def encoder(weights: dict[str, NDArray[Any]], precision: Precision = Precision.ROWS) -> onnx.ModelProto:
    """Return the encoder's graph; `weights` are named as by `ctranslate2_file.parse`."""
    graph = _Graph(weights, precision)
    width = weights["encoder/conv1/weight"].shape[0]
    value = "mel"
    for conv, stride in (("conv1", 1), ("conv2", 2)):
        name = f"encoder/{conv}"
        convolved = graph.add(
            "Conv", value, graph.weight(name + "/weight"), graph.weight(name + "/bias"),
            kernel_shape=[3], pads=[1, 1], strides=[stride],
        )  # fmt: skip
        value = graph.add("Gelu", convolved)
    value = graph.add("Transpose", value, perm=(0, 2, 1))
    frames = graph.add("Shape", value, start=1, end=2)
    positions = graph.weight("encoder/position_encodings/encodings")
    value = graph.add("Add", value, graph.add("Slice", positions, graph.integers(0), frames, graph.integers(0)))
    for layer in range(layer_count(weights, "encoder")):
        name = f"encoder/layer_{layer}"
        normed = graph.norm(value, name + "/self_attention/layer_norm")
        linear = name + "/self_attention/linear_0"
        query = graph.heads(graph.linear(normed, linear, slice(0, width), _SCALE), _ROWS)
        key = graph.heads(graph.linear(normed, linear, slice(width, 2 * width)), _COLUMNS)
        content = graph.heads(graph.linear(normed, linear, slice(2 * width, 3 * width)), _ROWS)
        mixed = graph.attended(graph.attention(query, key), content)
        attended = graph.linear(mixed, name + "/self_attention/linear_1")
        value = graph.feed_forward(graph.add("Add", value, attended), name + "/ffn")
    value = graph.norm(value, "encoder/layer_norm")
    layers, heads = layer_count(weights, "decoder"), width // HEAD_SIZE
    for layer in range(layers):
        linear = f"decoder/layer_{layer}/attention/linear_1"
        graph.rename(graph.heads(graph.linear(value, linear, slice(0, width)), _COLUMNS), f"cross_k_{layer}")
        graph.rename(graph.heads(graph.linear(value, linear, slice(width, 2 * width)), _ROWS), f"cross_v_{layer}")
    mel = _value("mel", TensorProto.FLOAT, "batch", MEL_BINS, "mel_frames")
    return graph.model("whisper-encoder", [mel], _cross_values(layers, heads))


def _embed(graph: _Graph) -> str:
    """Add token embeddings and positions; the embeddings come from the 8-bit table of the logits if there is one."""
    table = graph.weights["decoder/embeddings/weight"].astype(np.float32)
    if graph.precision is Precision.BLOCKS:
        codes, scales = graph.quantized("decoder/embeddings", table)
        signed = graph.add("Cast", graph.add("Gather", codes, "tokens"), to=TensorProto.FLOAT)
        centred = graph.add("Sub", signed, graph.constant("centre", np.array([128], np.float32)))
        scale = graph.add("Unsqueeze", graph.add("Gather", scales, "tokens"), graph.integers(-1))
        value = graph.add("Reshape", graph.add("Mul", centred, scale), graph.integers(0, 0, -1))
    else:
        value = graph.add("Gather", graph.constant("decoder/embeddings/table", table), "tokens")
    past = graph.add("Shape", "past_k_0", start=2, end=3)
    end = graph.add("Add", past, graph.add("Shape", "tokens", start=1, end=2))
    positions = graph.weight("decoder/position_encodings/encodings")
    return graph.add("Add", value, graph.add("Slice", positions, past, end, graph.integers(0)))


def _causal_mask(graph: _Graph) -> str:
    """Return a mask [n, p + n]: 0 for positions that a token may attend to, a large negative number for others."""
    past = graph.add("Shape", "past_k_0", start=2, end=3)
    count = graph.add("Shape", "tokens", start=1, end=2)
    end = graph.add("Add", past, count)
    zero, one = graph.constant("zero", np.array(0)), graph.constant("one", np.array(1))
    keys = graph.add("Range", zero, graph.add("Squeeze", end), one)
    queries = graph.add("Range", graph.add("Squeeze", past), graph.add("Squeeze", end), one)
    later = graph.add("Greater", keys, graph.add("Unsqueeze", queries, graph.integers(1)))
    return graph.add(
        "Mul", graph.add("Cast", later, to=TensorProto.FLOAT), graph.constant("never", np.array([-1e9], np.float32))
    )


def _last_of(graph: _Graph, attention: str, heads: Sequence[int]) -> str:
    """Return some heads' attention [batch, heads, t] of the last token."""
    last = graph.add("Gather", attention, graph.constant("last", np.array(-1)), axis=2)
    return graph.add("Gather", last, graph.integers(*heads), axis=1)


def decoder(
    weights: dict[str, NDArray[Any]],
    alignment_heads: Sequence[tuple[int, int]],
    precision: Precision = Precision.BLOCKS,
) -> onnx.ModelProto:
    """Return the decoder's graph; `weights` are named as by `ctranslate2_file.parse`.

    `alignment_heads`, one at least, are pairs of layer and head.
    """
    graph = _Graph(weights, precision)
    table = weights["decoder/embeddings/weight"]
    vocabulary, width = table.shape
    layers, heads = layer_count(weights, "decoder"), width // HEAD_SIZE
    value, mask = _embed(graph), _causal_mask(graph)
    following: list[str] = []
    for layer in range(layers):
        name = f"decoder/layer_{layer}"
        normed = graph.norm(value, name + "/self_attention/layer_norm")
        linear = name + "/self_attention/linear_0"
        query = graph.heads(graph.linear(normed, linear, slice(0, width), _SCALE), _ROWS)
        for part, rows in (("k", slice(width, 2 * width)), ("v", slice(2 * width, 3 * width))):
            new = graph.heads(graph.linear(normed, linear, rows), _ROWS)
            graph.rename(graph.add("Concat", f"past_{part}_{layer}", new, axis=2), f"present_{part}_{layer}")
        keys = graph.add("Transpose", f"present_k_{layer}", perm=(0, 1, 3, 2))
        attended = graph.attended(graph.attention(query, keys, mask), f"present_v_{layer}")
        value = graph.add("Add", value, graph.linear(attended, name + "/self_attention/linear_1"))
        normed = graph.norm(value, name + "/attention/layer_norm")
        query = graph.heads(graph.linear(normed, name + "/attention/linear_0", scale=_SCALE), _ROWS)
        attention = graph.attention(query, f"cross_k_{layer}")
        if of_layer := [head for one, head in alignment_heads if one == layer]:
            following.append(_last_of(graph, attention, of_layer))
        attended = graph.attended(attention, f"cross_v_{layer}")
        value = graph.add("Add", value, graph.linear(attended, name + "/attention/linear_2"))
        value = graph.feed_forward(value, name + "/ffn")
    value = graph.norm(value, "decoder/layer_norm")
    last = graph.add("Gather", value, graph.constant("last", np.array(-1)), axis=1)
    graph.rename(graph.matmul(last, "decoder/embeddings", table.astype(np.float32)), "logits")
    graph.rename(graph.add("Concat", *following, axis=1), "attention")
    inputs = [_value("tokens", TensorProto.INT64, "batch", "new")]
    inputs += _cache_values("past", layers, heads, "past") + _cross_values(layers, heads)
    outputs = [
        _value("logits", TensorProto.FLOAT, "batch", vocabulary),
        _value("attention", TensorProto.FLOAT, "batch", len(alignment_heads), "frames"),
    ]
    return graph.model("whisper-decoder", inputs, outputs + _cache_values("present", layers, heads, "total"))
