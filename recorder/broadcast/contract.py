"""The order for the process that composes a broadcast, and its reports."""

import msgspec

from foundation.film_options import FilmOptions

KEYFRAME_SECONDS = 2
"""From one keyframe to the next, and so the length of a segment of HLS."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`zero` is the broadcast's zero on the monotonic clock (ns), `bits` the video's bits a second."""

    film: FilmOptions
    zero: int
    rate: int = 30
    bits: int = 2_500_000


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the process began: pictures that it made, and that it left out for want of time."""

    pictures: int = 0
    left_out: int = 0
    people: int = 0
