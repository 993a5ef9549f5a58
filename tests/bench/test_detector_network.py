"""The small network of the detector: it learns, is calibrated, and gives the same results in onnxruntime."""

import numpy as np
import onnxruntime
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.detector_training.network import as_onnx, calibration, fit, sigmoid

DICE = np.random.default_rng(5)
LABELS = (np.arange(400) % 2).astype(float)
ROWS = DICE.normal(0, 1, (400, 6)) + np.outer(LABELS, [3, 0, 0, -3, 0, 0])


def test_it_tells_what_can_be_told_and_onnxruntime_agrees() -> None:
    network = fit(ROWS[:300], LABELS[:300], hidden=4, epochs=150, seed=1)
    found = network.probabilities(ROWS[300:])
    assert np.mean((found > 0.5) == LABELS[300:]) > 0.9
    session = onnxruntime.InferenceSession(as_onnx(network), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"FEATURES": ROWS[300:].astype(np.float32)})
    assert np.allclose(scores[:, 0], found, atol=1e-4)


def test_the_same_data_gives_the_same_network() -> None:
    first, second = (as_onnx(fit(ROWS, LABELS, hidden=3, epochs=2, seed=1)) for _ in range(2))
    assert first == second


@settings(max_examples=20, deadline=None)
@given(st.floats(0.3, 3), st.floats(-2, 2))
def test_calibration_finds_what_logits_mean(slope: float, offset: float) -> None:
    dice = np.random.default_rng(2)
    truth = dice.normal(0, 2, 1000)
    labels = (dice.random(1000) < sigmoid(truth)).astype(float)
    found = calibration((truth - offset) / slope, labels)
    given_back = sigmoid(found[0] * (truth - offset) / slope + found[1])
    assert np.mean(np.abs(given_back - sigmoid(truth))) < 0.07
