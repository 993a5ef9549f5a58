"""The three nets for faces, as ONNX graphs: BlazeFace, and two classifiers of expressions.

BlazeFace (256 × 256, the long-range variant) and the first classifier are TensorFlow.js graph models of the package
`human`; the second is face-api's expression net, whose package contains only weights. Its layers are defined here as in
that package's source (four dense blocks of separable convolutions, a mean, one full layer).
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper

from inference.models.tfjs_model import Arrays, convert, finish, parse_manifest, read_weights

DETECTOR_OUTPUTS = ("Identity", "Identity_1", "Identity_2", "Identity_3")
"""Outputs of BlazeFace: scores of the 512 fine and the 384 coarse anchors, and their 16 box and landmark numbers."""
_CHANNEL_MEANS = np.array([122.782, 117.001, 104.298], np.float32)


def detector(text: bytes, data: bytes) -> onnx.ModelProto:
    """Return BlazeFace's graph."""
    return convert(text, data, DETECTOR_OUTPUTS, 3)


def grey_classifier(text: bytes, data: bytes) -> onnx.ModelProto:
    """Return `human`'s classifier: 64 × 64 grey in ±1 → 7 probabilities, `Identity`."""
    return convert(text, data, ("Identity",), 2)


def colour_classifier(manifest: bytes, data: bytes) -> onnx.ModelProto:
    """Return face-api's classifier: 112 × 112 RGB in 0…255 → 7 probabilities, `probabilities`."""
    arrays = read_weights(parse_manifest(manifest), data)
    net = _Net({name: array.astype(np.float32) for name, array in arrays.items()})
    value = net.apply("Transpose", "image", perm=[0, 3, 1, 2])
    net.arrays["means"] = _CHANNEL_MEANS.reshape(1, 3, 1, 1)
    net.arrays["full"] = np.array(255, np.float32)
    value = net.apply("Div", net.apply("Sub", value, "means"), "full")
    for block in range(4):
        value = net.dense_block(value, f"dense{block}", first=block == 0)
    value = net.apply("Flatten", net.apply("GlobalAveragePool", value))
    value = net.apply("Gemm", value, "fc/weights", "fc/bias")
    net.apply("Softmax", value, name="probabilities", axis=1)
    return finish(net.nodes, net.arrays, 3, ("probabilities",), 2)


class _Net:
    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.nodes: list[onnx.NodeProto] = []

    def apply(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        made = name or f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [made], **attributes))
        return made

    def dense_block(self, value: str, block: str, *, first: bool) -> str:
        """Add a dense block, in which each convolution gets the sum of all earlier ones."""
        total = self._full(value, f"{block}/conv0") if first else self._separable(value, f"{block}/conv0", 2)
        heard = self.apply("Relu", total)
        total = heard
        for layer in (1, 2, 3):
            total = self.apply("Add", total, self._separable(heard, f"{block}/conv{layer}", 1))
            heard = self.apply("Relu", total)
        return heard

    def _full(self, value: str, layer: str) -> str:
        self.arrays[f"{layer}/kernel"] = self.arrays[f"{layer}/filters"].transpose(3, 2, 0, 1)
        return self.apply(
            "Conv", value, f"{layer}/kernel", f"{layer}/bias", strides=[2, 2], auto_pad="SAME_UPPER", name=layer
        )

    def _separable(self, value: str, layer: str, stride: int) -> str:
        self.arrays[f"{layer}/depth"] = self.arrays[f"{layer}/depthwise_filter"].transpose(2, 3, 0, 1)
        self.arrays[f"{layer}/point"] = self.arrays[f"{layer}/pointwise_filter"].transpose(3, 2, 0, 1)
        channels = len(self.arrays[f"{layer}/depth"])
        deep = self.apply(
            "Conv", value, f"{layer}/depth", group=channels, strides=[stride, stride], auto_pad="SAME_UPPER"
        )
        return self.apply("Conv", deep, f"{layer}/point", f"{layer}/bias", name=layer)
