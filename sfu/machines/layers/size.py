"""Choice of the layers that are useful at a displayed size.

Both simulcast and SVC, as browsers do it (webrtc-svc, section 5), halve each side from layer to layer.
"""

from collections.abc import Sequence

_TOLERANCE = 1.25


def full_height(heights: Sequence[int]) -> int:
    """Return the height of the highest of these layers (lowest first), derived from lower layers if unknown. 0 means
    unknown, in arguments and result.
    """
    for above, height in enumerate(reversed(heights)):
        if height:
            return height << above
    return 0


def useful_layers(layers: int, full_height: int, shown_height: int) -> int:
    """Return the number of useful layers, counted from the lowest; at least one.

    A layer suffices if enlarging it by up to a quarter gives the displayed height. If `shown_height` is 0 (unknown),
    all are useful.
    """
    if shown_height <= 0:
        return layers
    for layer in range(layers):
        if (full_height >> (layers - 1 - layer)) * _TOLERANCE >= shown_height:
            return layer + 1
    return layers
