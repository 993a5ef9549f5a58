"""Layers with few frames are left for smaller ones that move."""

from sfu.machines.layers.frame_rates import FrameRate, FrameRates

SECOND = 1_000_000_000


def slow(rates: FrameRates[str], at: int, *frames: float) -> frozenset[str]:
    """Give a window that ended at `at` seconds, of layers a, b, ..."""
    now = at * SECOND
    layers = [(name, FrameRate(count, now)) for name, count in zip("abc", frames, strict=False)]
    return rates.slow(layers, now)


def test_a_layer_with_less_than_half_the_frames_is_left() -> None:
    rates: FrameRates[str] = FrameRates()
    assert not slow(rates, 1, 30, 5)
    assert slow(rates, 2, 30, 5) == {"b"}
    assert slow(rates, 11, 30, 5) == {"b"}
    assert not slow(rates, 12, 30, 30)


def test_a_layer_above_the_one_that_is_left_is_compared_with_one_that_moves() -> None:
    rates: FrameRates[str] = FrameRates()
    slow(rates, 1, 30, 5, 6)
    slow(rates, 2, 30, 5, 6)
    assert slow(rates, 4, 30, 5, 6) | slow(rates, 5, 30, 5, 6) == {"b", "c"}


def test_one_that_is_slow_again_is_left_for_longer() -> None:
    rates: FrameRates[str] = FrameRates()
    for at in (1, 2, 13, 14):
        slow(rates, at, 30, 5)
    assert slow(rates, 33, 30, 30) == {"b"}
    assert not slow(rates, 34, 30, 30)


def test_a_slow_camera_is_no_slow_layer() -> None:
    rates: FrameRates[str] = FrameRates()
    assert not any(slow(rates, at, 8, 7, 7) for at in range(1, 6))
