"""What a subscriber can be granted of a video, lowest first: simulcast streams, or the spatial layers of a layered one.

Only whole streams are measured. Of one with layers (VP9; Chromium divides its bitrate so) each is taken to cost a fixed
share. Layers of AV1 are not told apart: they are named in a header extension that the engine passes unread.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sfu.formats.codecs import Codec
from sfu.rooms.ingress_stream import IngressStream

ALL_LAYERS = 255
_SHARES = {2: (0.3, 1.0), 3: (0.12, 0.4, 1.0)}
_MODE = re.compile(r"L([1-3])T[1-3](h|_KEY(_SHIFT)?)?")


class Step(NamedTuple):
    """A stream, up to its spatial layer `spatial`; `share` is the part of the stream's bitrate that these cost."""

    stream: IngressStream
    spatial: int = ALL_LAYERS
    share: float = 1.0


def spatial_layers(codec: Codec, mode: str) -> int:
    """Return how many spatial layers of a stream can be told apart; `mode` is a scalabilityMode (W3C WebRTC SVC)."""
    found = _MODE.fullmatch(mode) if codec is Codec.VP9 else None
    return int(found[1]) if found is not None else 1


def steps_of(streams: Sequence[IngressStream], layers: int) -> list[Step]:
    """Return the steps of a video of these streams, lowest first, each of `layers` spatial layers."""
    shares = _SHARES.get(layers)
    if shares is None or len(streams) != 1:
        return [Step(stream) for stream in streams]
    top = layers - 1
    return [Step(streams[0], layer if layer < top else ALL_LAYERS, share) for layer, share in enumerate(shares)]


def share_of(layers: int, spatial: int) -> float:
    """Return the part of a stream's bitrate that its spatial layers up to `spatial` cost."""
    shares = _SHARES.get(layers, (1.0,))
    return shares[min(spatial, len(shares) - 1)]
