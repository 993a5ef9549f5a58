"""Layers with few frames or few bits are left for the one below."""

from sfu.machines.layers.poor_layers import LayerRate, PoorLayers

SECOND = 1_000_000_000


def slow(rates: PoorLayers[str], at: int, *frames: float) -> frozenset[str]:
    """Give a window that ended at `at` seconds, of layers a, b, ..."""
    now = at * SECOND
    layers = [(name, LayerRate(count, 0, now)) for name, count in zip("abc", frames, strict=False)]
    return rates.poor(layers, now)


def test_a_layer_with_less_than_half_the_frames_is_left() -> None:
    rates: PoorLayers[str] = PoorLayers()
    assert not slow(rates, 1, 30, 5)
    assert slow(rates, 2, 30, 5) == {"b"}
    assert slow(rates, 11, 30, 5) == {"b"}
    assert not slow(rates, 12, 30, 30)


def test_a_layer_above_the_one_that_is_left_is_compared_with_one_that_moves() -> None:
    rates: PoorLayers[str] = PoorLayers()
    slow(rates, 1, 30, 5, 6)
    slow(rates, 2, 30, 5, 6)
    assert slow(rates, 4, 30, 5, 6) | slow(rates, 5, 30, 5, 6) == {"b", "c"}


def test_one_that_is_slow_again_is_left_for_longer() -> None:
    rates: PoorLayers[str] = PoorLayers()
    for at in (1, 2, 13, 14):
        slow(rates, at, 30, 5)
    assert slow(rates, 33, 30, 30) == {"b"}
    assert not slow(rates, 34, 30, 30)


def test_a_slow_camera_is_no_slow_layer() -> None:
    rates: PoorLayers[str] = PoorLayers()
    assert not any(slow(rates, at, 8, 7, 7) for at in range(1, 6))


def starved(rates: PoorLayers[str], at: int, *bits: float, stalled: str | None = "c") -> frozenset[str]:
    """Give a window that ended at `at` seconds, of layers a, b, ... that have 30 frames a second."""
    layers = [(name, LayerRate(30, rate, at * SECOND)) for name, rate in zip("abc", bits, strict=False)]
    return rates.poor([*layers, ("c", None)] if len(bits) < 3 else layers, at * SECOND, stalled=stalled)


def test_a_layer_with_hardly_more_bits_is_left_if_a_higher_one_has_stalled() -> None:
    rates: PoorLayers[str] = PoorLayers()
    assert not starved(rates, 1, 120_000, 170_000)
    assert starved(rates, 2, 120_000, 170_000) == {"b"}
    assert starved(rates, 11, 120_000, 170_000) == {"b"}
    assert not starved(rates, 12, 120_000, 350_000)


def test_a_still_picture_is_no_starved_layer() -> None:
    rates: PoorLayers[str] = PoorLayers()
    for at in range(1, 6):
        assert not starved(rates, at, 60_000, 70_000, 80_000, stalled=None)
        assert not starved(rates, at, 60_000, 70_000, stalled="b")


def test_the_highest_layer_is_dropped_by_its_publisher_alone() -> None:
    rates: PoorLayers[str] = PoorLayers()
    assert not any(starved(rates, at, 120_000, 400_000, 500_000) for at in range(1, 6))
