"""The order for the process that composes a broadcast, and its reports."""

import msgspec

from foundation.film_options import FilmOptions

KEYFRAME_SECONDS = 2
"""Interval of keyframes, and so the length of an HLS segment."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order. `zero` is the broadcast's zero on the monotonic clock (ns), `bits` the video's bit rate in bits/s."""

    film: FilmOptions
    zero: int
    rate: int = 30
    bits: int = 2_500_000


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the process started: pictures made, and pictures left out for lack of time."""

    pictures: int = 0
    left_out: int = 0
    people: int = 0
