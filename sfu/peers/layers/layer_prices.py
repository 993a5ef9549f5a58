"""What the layers of a room's videos cost, and whether that changed enough to weigh them anew."""

Costs = dict[str, tuple[tuple[tuple[int, int], float], ...]]
"""By track, what each layer costs: its stream's number and lines, and bits/s."""

_SAME_PRICE = 1.05


def are_same_layers(one: Costs, other: Costs) -> bool:
    """Whether the same layers can be had, at whatever price."""
    return one.keys() == other.keys() and all(
        [layer for layer, _ in layers] == [layer for layer, _ in other[track]] for track, layers in one.items()
    )


def are_alike(one: Costs, other: Costs) -> bool:
    """Whether the same layers are to be had for about the same price."""
    return all(
        max(cost, before) <= _SAME_PRICE * min(cost, before)
        for track, layers in one.items()
        for (_, cost), (_, before) in zip(layers, other[track], strict=True)
    )
