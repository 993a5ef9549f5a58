"""Conversion of TensorFlow.js weights and graph models to arrays and ONNX, for small convolutional nets in packages.

A weights manifest lists tensors that follow each other in a .bin file, some quantised linearly to 8 bits. Graphs are
converted node by node: NHWC becomes NCHW at the input, and NHWC again where a Reshape depends on the order.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Arrays = dict[str, NDArray[Any]]
_OPSET = 17
_IR = 8
_TYPES = {"float32": "<f4", "int32": "<i4"}
_SPATIAL = {0: 0, 1: 2, 2: 3, 3: 1}
"""NHWC axes as NCHW ones."""


class Quantization(msgspec.Struct, frozen=True):
    dtype: str
    scale: float
    min: float


class Weight(msgspec.Struct, frozen=True):
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None


class WeightGroup(msgspec.Struct, frozen=True):
    weights: tuple[Weight, ...]


class GraphNode(msgspec.Struct, frozen=True):
    name: str
    op: str
    input: tuple[str, ...] = ()
    attr: dict[str, Any] = {}


class Topology(msgspec.Struct, frozen=True):
    node: tuple[GraphNode, ...]


class GraphModel(msgspec.Struct, frozen=True, rename={"topology": "modelTopology", "manifest": "weightsManifest"}):
    topology: Topology
    manifest: tuple[WeightGroup, ...]


def read_weights(manifest: tuple[WeightGroup, ...], data: bytes) -> Arrays:
    """Return the tensors in `data`; raises ValueError if their size differs from the manifest's."""
    arrays: Arrays = {}
    offset = 0
    for weight in (weight for group in manifest for weight in group.weights):
        stored = weight.quantization.dtype if weight.quantization is not None else weight.dtype
        kind = np.dtype("u1" if stored == "uint8" else _TYPES.get(stored, "V0"))
        count = int(np.prod(weight.shape, dtype=np.int64))
        if kind.itemsize == 0 or count < 0 or offset + count * kind.itemsize > len(data):
            raise ValueError(f"the weights end before {weight.name}, or it has an unknown type")
        array = np.frombuffer(data, kind, count, offset).reshape(weight.shape)
        offset += array.nbytes
        if weight.quantization is not None:
            array = (array * weight.quantization.scale + weight.quantization.min).astype(np.float32)
        arrays[weight.name] = array
    if offset != len(data):
        raise ValueError(f"{len(data) - offset} bytes follow the last weight")
    return arrays


def parse_manifest(text: bytes) -> tuple[WeightGroup, ...]:
    """Return a weights manifest (a JSON array of groups); raises ValueError."""
    return msgspec.json.decode(text, type=tuple[WeightGroup, ...])


def convert(text: bytes, data: bytes, outputs: tuple[str, ...], rank: int) -> onnx.ModelProto:
    """Return a graph model as ONNX with the input `image` [n, height, width, channels].

    `outputs` are names of its nodes, with `rank` dimensions; the ONNX outputs have the same names. Raises ValueError
    for unsupported operations.
    """
    model = msgspec.json.decode(text, type=GraphModel)
    graph = _Graph(read_weights(model.manifest, data))
    for node in model.topology.node:
        graph.add(node)
    return finish(graph.nodes, graph.arrays, graph.channels, outputs, rank)


def finish(
    nodes: list[onnx.NodeProto], arrays: Arrays, channels: int, outputs: tuple[str, ...], rank: int
) -> onnx.ModelProto:
    """Return a checked model of these nodes, with input `image` and the constants in `arrays`."""
    used = {name for node in nodes for name in node.input}
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", None, None, channels])
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name in outputs]
    constants = [numpy_helper.from_array(np.ascontiguousarray(arrays[name]), name) for name in arrays if name in used]
    graph = helper.make_graph(nodes, "net", [image], made, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(model)
    return model


class _Graph:
    """Converter with the ONNX nodes so far. A tensor keeps its node's name; pictures are in NCHW."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.nodes: list[onnx.NodeProto] = []
        self.channels = 0
        self._convert: Mapping[str, Callable[[GraphNode], None]] = {
            "Placeholder": self._input,
            "_FusedConv2D": self._convolution,
            "DepthwiseConv2dNative": self._depthwise,
            "MaxPool": self._pool,
            "Pad": self._pad,
            "Reshape": self._reshape,
            "Mean": self._mean,
            "Softmax": lambda node: self._emit("Softmax", node, [node.input[0]], axis=-1),
            "AddV2": lambda node: self._emit("Add", node, list(node.input)),
            "Relu": lambda node: self._emit("Relu", node, [node.input[0]]),
            "Identity": lambda node: self._emit("Identity", node, [node.input[0]]),
            "Const": lambda node: None,
        }

    def add(self, node: GraphNode) -> None:
        converter = self._convert.get(node.op)
        if converter is None:
            raise ValueError(f"the graph contains the operation {node.op}, which is not supported")
        converter(node)

    def _emit(self, op: str, node: GraphNode, inputs: list[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [node.name], **attributes))

    def _input(self, node: GraphNode) -> None:
        self.channels = int(node.attr["shape"]["shape"]["dim"][3]["size"])
        self._emit("Transpose", node, ["image"], perm=[0, 3, 1, 2])

    def _window(self, node: GraphNode) -> dict[str, Any]:
        strides = [int(value) for value in node.attr["strides"]["list"]["i"]]
        padding = _text(node.attr["padding"]["s"])
        return {"strides": strides[1:3], "auto_pad": "SAME_UPPER" if padding == "SAME" else "VALID"}

    def _convolution(self, node: GraphNode) -> None:
        kernel = f"{node.name}/kernel"
        self.arrays[kernel] = self.arrays[node.input[1]].transpose(3, 2, 0, 1)
        fused = [_text(entry) for entry in node.attr["fused_ops"]["list"]["s"]]
        if fused not in (["BiasAdd"], ["BiasAdd", "Relu"]):
            raise ValueError(f"a convolution is fused with {fused}, which is not supported")
        made = f"{node.name}/raw" if fused[1:] else node.name
        self.nodes.append(
            helper.make_node("Conv", [node.input[0], kernel, node.input[2]], [made], **self._window(node))
        )
        if fused[1:]:
            self._emit("Relu", node, [made])

    def _depthwise(self, node: GraphNode) -> None:
        kernel = f"{node.name}/kernel"
        self.arrays[kernel] = self.arrays[node.input[1]].transpose(2, 3, 0, 1)
        self._emit("Conv", node, [node.input[0], kernel], group=len(self.arrays[kernel]), **self._window(node))

    def _pool(self, node: GraphNode) -> None:
        size = [int(value) for value in node.attr["ksize"]["list"]["i"]]
        self._emit("MaxPool", node, [node.input[0]], kernel_shape=size[1:3], **self._window(node))

    def _pad(self, node: GraphNode) -> None:
        pads = self.arrays[node.input[1]][[0, 3, 1, 2]].astype(np.int64)
        self.arrays[f"{node.name}/pads"] = np.concatenate((pads[:, 0], pads[:, 1]))
        self._emit("Pad", node, [node.input[0], f"{node.name}/pads"])

    def _reshape(self, node: GraphNode) -> None:
        self.arrays[f"{node.name}/shape"] = self.arrays[node.input[1]].astype(np.int64)
        picture = f"{node.name}/picture"
        self.nodes.append(helper.make_node("Transpose", [node.input[0]], [picture], perm=[0, 2, 3, 1]))
        self._emit("Reshape", node, [picture, f"{node.name}/shape"])

    def _mean(self, node: GraphNode) -> None:
        axes = [_SPATIAL[int(axis)] for axis in self.arrays[node.input[1]]]
        self._emit("ReduceMean", node, [node.input[0]], axes=axes, keepdims=0)


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("ascii")
