"""A small network with one hidden layer: fitted with numpy alone, calibrated, and written as ONNX."""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Doubles = NDArray[np.float64]
INPUT, OUTPUT = "FEATURES", "SCORE"
_OPSET, _IR = 17, 9


@dataclass(frozen=True, slots=True)
class Network:
    """Weights of the network: `hidden` and `out` are (weights, biases); inputs are centred and scaled first."""

    mean: Doubles
    scale: Doubles
    hidden: tuple[Doubles, Doubles]
    out: tuple[Doubles, float]

    def logits(self, rows: Doubles) -> Doubles:
        """Return a logit for each row of features."""
        inner = np.maximum(0, (rows - self.mean) / self.scale @ self.hidden[0] + self.hidden[1])
        logits: Doubles = inner @ self.out[0] + self.out[1]
        return logits

    def probabilities(self, rows: Doubles) -> Doubles:
        """Return a probability for each row of features."""
        return sigmoid(self.logits(rows))

    def calibrated(self, slope: float, offset: float) -> "Network":
        """Return a network whose logit is `slope` times this one's, plus `offset`."""
        weights, bias = self.out
        return Network(self.mean, self.scale, self.hidden, (weights * slope, bias * slope + offset))


def sigmoid(logits: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def fit(rows: Doubles, labels: Doubles, *, hidden: int, epochs: int, seed: int) -> Network:
    """Fit with Adam (Kingma and Ba, 2015) to the cross entropy, with equal class weights, noise and decay."""
    dice = np.random.default_rng(seed)
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    inputs = (rows - mean) / scale
    weights = np.where(labels > 0.5, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    values = [
        dice.normal(0, np.sqrt(2 / rows.shape[1]), (rows.shape[1], hidden)),
        np.zeros(hidden),
        dice.normal(0, np.sqrt(1 / hidden), hidden),
        np.zeros(1),
    ]
    first, second = [np.zeros_like(value) for value in values], [np.zeros_like(value) for value in values]
    step = 0
    for _ in range(epochs):
        for batch in np.array_split(dice.permutation(len(rows)), max(1, len(rows) // 64)):
            step += 1
            noisy = inputs[batch] + dice.normal(0, 0.2, (len(batch), rows.shape[1]))
            for index, gradient in enumerate(_gradients(noisy, labels[batch], weights[batch], values)):
                first[index] = 0.9 * first[index] + 0.1 * gradient
                second[index] = 0.999 * second[index] + 0.001 * gradient**2
                change = first[index] / (1 - 0.9**step) / (np.sqrt(second[index] / (1 - 0.999**step)) + 1e-8)
                values[index] = values[index] * (1 - 1e-5) - 3e-3 * change
    return Network(mean, scale, (values[0], values[1]), (values[2], float(values[3][0])))


def _gradients(rows: Doubles, labels: Doubles, weights: Doubles, values: list[Doubles]) -> list[Doubles]:
    inner = np.maximum(0, rows @ values[0] + values[1])
    wrong = (sigmoid(inner @ values[2] + values[3]) - labels) * weights / len(rows)
    back = np.outer(wrong, values[2]) * (inner > 0)
    return [rows.T @ back, back.sum(axis=0), inner.T @ wrong, np.array([wrong.sum()])]


def calibration(logits: Doubles, labels: Doubles) -> tuple[float, float]:
    """Return the slope and offset that calibrate logits (Platt, 1999), by Newton's method with step halving.

    Both classes have equal weight: a score is the probability if one voice in two is generated.
    """
    weights = np.where(labels > 0.5, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
    targets = np.where(labels > 0.5, 1 - 1 / (labels.sum() + 2), 1 / ((1 - labels).sum() + 2))
    spread = float(logits.std()) + 1e-9
    terms = np.stack((logits / spread, np.ones_like(logits)), axis=1)

    def loss(found: Doubles) -> float:
        shown = np.clip(sigmoid(terms @ found), 1e-12, 1 - 1e-12)
        return -float(weights @ (targets * np.log(shown) + (1 - targets) * np.log(1 - shown)))

    found = np.array([1.0, 0.0])
    for _ in range(50):
        shown = sigmoid(terms @ found)
        gradient = terms.T @ (weights * (shown - targets))
        curvature = (terms * (weights * shown * (1 - shown))[:, None]).T @ terms + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step = step / 2
        found = found - step
    return max(float(found[0]) / spread, 1e-3), float(found[1])


def as_onnx(network: Network) -> bytes:
    """Return the network as ONNX: FEATURES FP32 [n, count] → SCORE FP32 [n, 1]."""
    constants = {
        "mean": network.mean, "scale": network.scale, "w1": network.hidden[0], "b1": network.hidden[1],
        "w2": network.out[0][:, None], "b2": np.array([network.out[1]]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Sub", [INPUT, "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Gemm", ["scaled", "w1", "b1"], ["first"]),
        helper.make_node("Relu", ["first"], ["inner"]),
        helper.make_node("Gemm", ["inner", "w2", "b2"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "generated_voice",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", len(network.mean)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="parley")
    model.ir_version = _IR
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
