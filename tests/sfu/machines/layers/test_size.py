"""Layers that are useful at the size shown."""

import pytest

from sfu.machines.layers.size import full_height, useful_layers


@pytest.mark.parametrize(
    ("shown", "useful"), [(0, 3), (90, 1), (180, 1), (225, 1), (226, 2), (360, 2), (450, 2), (451, 3), (2160, 3)]
)
def test_720_lines_in_three_layers(shown: int, useful: int) -> None:
    assert useful_layers(3, 720, shown) == useful


def test_a_single_layer_is_always_of_use() -> None:
    assert useful_layers(1, 720, 1) == 1


@pytest.mark.parametrize(
    ("heights", "full"), [([180, 360, 720], 720), ([180, 360, 0], 720), ([90, 0, 0], 360), ([0, 0], 0), ([], 0)]
)
def test_what_is_not_known_is_twice_what_is_below(heights: list[int], full: int) -> None:
    assert full_height(heights) == full
