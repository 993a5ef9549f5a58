"""The orders for the process that composes a broadcast, and its reports.

A process decodes the media of a room once, and makes one or several views of it. Start is its argument; the views
come on standard input, one JSON document in each line.
"""

import msgspec

from foundation.film_options import FilmOptions

KEYFRAME_SECONDS = 2
"""Interval of keyframes, and so the length of an HLS segment."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Values that do not change. `zero` is the broadcast's zero on the monotonic clock (ns)."""

    zero: int
    rate: int = 30


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """Images for the output `name`, one every `seconds`; 0 stands for the picture's width or height."""

    name: str
    seconds: int
    width: int = 0
    height: int = 0


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of the room with its sound; `name` identifies its outputs.

    `encoded`: it is needed as H.264 and AAC, with `bits` as the video's bit rate in bits/s. `pcm`: its sound is needed
    as samples.
    """

    name: str
    film: FilmOptions
    bits: int = 2_500_000
    encoded: bool = True
    pcm: bool = False
    images: tuple[Images, ...] = ()


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """All views that are needed from now on."""

    views: tuple[View, ...] = ()


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the process started: pictures made, and pictures left out for lack of time."""

    pictures: int = 0
    left_out: int = 0
    people: int = 0
