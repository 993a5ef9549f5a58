"""Choice of the layers that are useful at the size at which a picture is shown.

Simulcast halves each side from layer to layer, and so does SVC as browsers do it (webrtc-svc, section 5).
"""

from collections.abc import Sequence

_TOLERANCE = 1.25


def full_height(heights: Sequence[int]) -> int:
    """Return the height of the highest of these layers (lowest first), derived from lower ones if it is unknown. 0
    means unknown, in the arguments and as a result.
    """
    for above, height in enumerate(reversed(heights)):
        if height:
            return height << above
    return 0


def useful_layers(layers: int, full_height: int, shown_height: int) -> int:
    """Return how many of the lowest of `layers` layers are of use, at least one.

    A layer is enough when enlarging it by up to a quarter gives the height shown. `shown_height` 0 is unknown: all are.
    """
    if shown_height <= 0:
        return layers
    for layer in range(layers):
        if (full_height >> (layers - 1 - layer)) * _TOLERANCE >= shown_height:
            return layer + 1
    return layers
