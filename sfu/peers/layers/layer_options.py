"""Layer options of a video for a subscriber, lowest first: simulcast streams, or the layers of one stream.

Only complete streams are measured. Each layer of a stream (VP8, VP9, AV1) is assumed to cost a fixed share of it, the
one that Chromium gives it.

Cameras lose spatial layers only, since smooth motion is worth more than sharpness. Screens lose temporal layers first:
text must be sharp and need not move smoothly.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sfu.formats.codecs import Codec
from sfu.peers.publish.ingress_stream import IngressStream

_ALL = 255
_SHARES = {1: (1.0,), 2: (0.3, 1.0), 3: (0.12, 0.4, 1.0)}
_TEMPORAL_SHARES = {1: (1.0,), 2: (0.6, 1.0), 3: (0.4, 0.6, 1.0)}
_MOST_TEMPORAL = max(_TEMPORAL_SHARES)
_MODE = re.compile(r"L([1-3])T([1-3])(h|_KEY(_SHIFT)?)?")
_MOST = {Codec.VP8: (1, 3), Codec.VP9: (3, 3), Codec.AV1: (3, 3)}


class Layer(NamedTuple):
    """The highest layer of a stream that is carried."""

    spatial: int = _ALL
    temporal: int = _ALL


ALL_LAYERS = Layer()
ONE_LAYER = Layer(1, 1)
"""The layer count of a stream without layers."""


class LayerOption(NamedTuple):
    """A stream, up to a layer; `share` is the part of the stream's bitrate that the option costs."""

    stream: IngressStream
    layer: Layer = ALL_LAYERS
    share: float = 1.0


def layers_of(codec: Codec, mode: str) -> Layer:
    """Return the number of distinguishable layers of a stream; `mode` is a scalabilityMode (W3C WebRTC SVC)."""
    found = _MODE.fullmatch(mode)
    most = _MOST.get(codec, ONE_LAYER)
    return Layer(min(int(found[1]), most[0]), min(int(found[2]), most[1])) if found is not None else ONE_LAYER


def options_of(streams: Sequence[IngressStream], layers: Layer) -> list[LayerOption]:
    """Return the options of a video, lowest first, whose streams have `layers.spatial` spatial layers each."""
    if layers.spatial == 1 or len(streams) != 1:
        return [LayerOption(stream) for stream in streams]
    top = layers.spatial - 1
    return [
        LayerOption(streams[0], Layer(spatial if spatial < top else _ALL), share)
        for spatial, share in enumerate(_SHARES[layers.spatial])
    ]


def keeping_resolution(options: Sequence[LayerOption], layers: Layer) -> list[LayerOption]:
    """Return the options of a screen: each size at its lowest frame rate, then the largest at rising frame rates.

    A smaller size with a stream of its own may have fewer temporal layers than the `layers` of the largest.
    """
    if layers.temporal == 1 or not options:
        return list(options)
    *smaller, largest = options
    counts = [
        layers.temporal if option.stream is largest.stream else min(option.stream.temporal_layers, layers.temporal)
        for option in smaller
    ]
    return [
        *(_in_time(option, 0, count) for option, count in zip(smaller, counts, strict=True)),
        *(_in_time(largest, temporal, layers.temporal) for temporal in range(layers.temporal)),
    ]


def _in_time(option: LayerOption, temporal: int, count: int) -> LayerOption:
    """Return the option up to a temporal layer, of `count`."""
    layer = option.layer._replace(temporal=temporal if temporal < count - 1 else _ALL)
    return option._replace(layer=layer, share=option.share * _TEMPORAL_SHARES[count][temporal])


def slowest(options: Sequence[LayerOption], layers: Layer) -> list[LayerOption]:
    """Return the options at their lowest frame rates; streams without temporal layers stay whole."""
    slow = [option.layer._replace(temporal=0) for option in options]
    return [
        LayerOption(option.stream, layer, share_carried(option.stream, layers, layer))
        for option, layer in zip(options, slow, strict=True)
    ]


def up_to(options: Sequence[LayerOption], layers: Layer, highest: Layer) -> list[LayerOption]:
    """Return the distinct options after limiting each to `highest`."""
    found: dict[tuple[IngressStream, Layer], LayerOption] = {}
    for option in options:
        layer = Layer(min(option.layer.spatial, highest.spatial), min(option.layer.temporal, highest.temporal))
        found.setdefault((option.stream, layer), LayerOption(option.stream, layer, share_of(layers, layer)))
    return list(found.values())


def name_of(layers: Layer, carried: Layer) -> str:
    """Return the carried layers of a stream, named as in a scalabilityMode, or "" for a stream without layers."""
    if layers == ONE_LAYER:
        return ""
    spatial, temporal = (min(top + 1, count) for top, count in zip(carried, layers, strict=True))
    return f"L{spatial}T{temporal}"


def share_carried(stream: IngressStream, layers: Layer, carried: Layer) -> float:
    """Return `share_of` a stream that may have more temporal layers than its publisher told, as Chromium's VP8 has."""
    return share_of(Layer(layers.spatial, max(layers.temporal, min(stream.temporal_layers, _MOST_TEMPORAL))), carried)


def share_of(layers: Layer, carried: Layer) -> float:
    """Return the share of a stream's bitrate that its carried layers cost."""
    spatial, temporal = _SHARES[layers.spatial], _TEMPORAL_SHARES[layers.temporal]
    return spatial[min(carried.spatial, len(spatial) - 1)] * temporal[min(carried.temporal, len(temporal) - 1)]
