"""Layouts: the positions of participants and the shared screen at a moment. Pure; the same for films and live video."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from foundation.film_options import FilmOptions, Region

MAX_TILES = 25
_STRIP = 6
_STRIP_SHARE = 0.1625
_INSET_SHARE = 0.22
_WAVE_SHARE = 0.25
_SHAPE = 16 / 9
"""The aspect ratio for which a grid has the largest tiles."""
_HIGHEST = 4 / 3
"""The aspect ratio of the highest tiles beside others."""
WAVE = "wave"
"""The track of the tile with the waveform."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the picture, in pixels; all values are even, because chroma is halved."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A participant in the picture. `track` is the track whose images fill it, None to show the name; `muted` is the
    state of its microphone.

    `note` is the reason that there is no image. Images from before `since_ms` are outdated, because the track was
    muted since. With `labelled`, the name is drawn over images.
    """

    box: Box
    participant: str
    name: str
    track: str | None
    muted: bool
    note: str = ""
    since_ms: int = 0
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """A participant or a shared screen at a moment."""

    participant: str
    name: str
    track: str | None
    muted: bool = False
    note: str = ""
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """The content to show: people in the order in which they joined, the newest screen, the current or last speaker."""

    people: tuple[Seen, ...]
    screen: Seen | None = None
    speaker: str = ""


def arrange(moment: Moment, options: FilmOptions) -> tuple[Tile, ...]:
    """Return the tiles of a moment; if tiles overlap, later ones are on top."""
    people = moment.people
    if options.order == "name":
        people = tuple(sorted(people, key=lambda one: one.name.casefold()))
    placed = _LAYOUTS[options.layout](people, moment, options)
    return tuple(
        Tile(box, one.participant, one.name, one.track, one.muted, one.note, one.since_ms, options.names)
        for one, box in placed
    )


def follows_sound(options: FilmOptions) -> bool:
    """Return whether a layout depends on who speaks or on the waveform."""
    return options.layout != "grid"


def grid(count: int, box: Box) -> list[Box]:
    """Return `count` equal boxes in rows, as large as fits, with the rows and within them the last one centred.

    Beside others, nobody is higher than wide in a picture that is not.
    """
    columns = max(range(count, 0, -1), key=lambda columns: _shown_width(count, columns, box), default=1)
    rows = math.ceil(count / columns) or 1
    width, height = _even(box.width // columns), _even(box.height // rows)
    if count > 1 and box.width > box.height:
        height = min(height, _even(int(width / _HIGHEST)))
    top = (box.height - rows * height) // 2
    boxes = []
    for index in range(count):
        row, column = divmod(index, columns)
        in_row = min(columns, count - row * columns)
        left = (box.width - in_row * width) // 2
        boxes.append(Box(_even(box.x + left + column * width), _even(box.y + top + row * height), width, height))
    return boxes


def _shown_width(count: int, columns: int, box: Box) -> int:
    """Return the approximate width of images in a grid, coarse enough that rounding does not decide."""
    rows = math.ceil(count / columns)
    return int(min(box.width / columns, box.height / rows * _SHAPE) / 8)


Placed = list[tuple[Seen, Box]]


def _grid(people: Sequence[Seen], moment: Moment, options: FilmOptions) -> Placed:
    if moment.screen is not None:
        return _large(moment.screen, people, options)
    return _in_grid(people, _whole(options))


def _speaker(people: Sequence[Seen], moment: Moment, options: FilmOptions) -> Placed:
    if moment.screen is not None:
        return _large(moment.screen, people, options)
    speaker = _main(people, moment)
    if speaker is None:
        return []
    others = [one for one in people if one is not speaker]
    return _large(speaker, others, options) if others else [(speaker, _whole(options))]


def _screen(people: Sequence[Seen], moment: Moment, options: FilmOptions) -> Placed:
    if moment.screen is None:
        return _speaker(people, moment, options)
    placed = [(moment.screen, _whole(options))]
    speaker = _main(people, moment)
    if speaker is not None and speaker.track is not None:
        width = _even(int(max(options.width, options.height) * _INSET_SHARE))
        height, margin = _even(int(width / _SHAPE)), _even(options.height // 45)
        box = Box(options.width - width - margin, options.height - height - margin, width, height)
        placed.append((speaker, box))
    return placed


def _single(people: Sequence[Seen], moment: Moment, options: FilmOptions) -> Placed:
    if options.participant:
        chosen = next((one for one in people if one.participant == options.participant), None)
    else:
        chosen = moment.screen or _main(people, moment)
    return [] if chosen is None else [(chosen, _whole(options))]


def _waveform(people: Sequence[Seen], _: Moment, options: FilmOptions) -> Placed:
    height = _even(int(options.height * _WAVE_SHARE))
    above = Box(0, 0, options.width, options.height - height)
    named = [Seen(one.participant, one.name, None, one.muted) for one in people]
    wave = Seen("", "", WAVE), Box(0, above.height, options.width, height)
    return [*_in_grid(named, above), wave]


def _custom(people: Sequence[Seen], moment: Moment, options: FilmOptions) -> Placed:
    """Place the tiles of a custom layout: single participants and the speaker first; the rest are `people`."""
    regions = [(region, _box_of(region, options)) for region in options.regions]
    own = {region.participant for region in options.regions}
    if any(region.shows == "speaker" for region in options.regions):
        speaker = _main([one for one in people if one.participant not in own], moment)
        own.add(speaker.participant if speaker is not None else "")
    else:
        speaker = None
    placed: Placed = []
    for region, box in regions:
        if region.shows == "people":
            placed += _in_grid([one for one in people if one.participant not in own], box)
            continue
        by_id = (one for one in people if one.participant == region.participant)
        shown = {"screen": moment.screen, "speaker": speaker, "participant": next(by_id, None)}[region.shows]
        if shown is not None:
            placed.append((shown, box))
    return [(one, box) for one, box in placed if box.width >= 32 and box.height >= 32]


_LAYOUTS = {
    "grid": _grid,
    "speaker": _speaker,
    "screen": _screen,
    "single": _single,
    "waveform": _waveform,
    "custom": _custom,
}


def _in_grid(people: Sequence[Seen], box: Box) -> Placed:
    shown = _fitting(people, MAX_TILES)
    return list(zip(shown, grid(len(shown), box), strict=True))


def _large(main: Seen, others: Sequence[Seen], options: FilmOptions) -> Placed:
    """Place one in most of the picture, and the others in a strip along it."""
    shown = _fitting(others, _STRIP)
    wide, high = options.width, options.height
    if wide > high:
        strip = _even(int(wide * _STRIP_SHARE))
        box, each = Box(0, 0, wide - strip, high), _even(high // _STRIP)
        beside = [Box(box.width, index * each, strip, each) for index in range(len(shown))]
    else:
        columns, each = _STRIP // 2, _even(int(wide / (_STRIP // 2) / _SHAPE))
        box, across = Box(0, 0, wide, high - 2 * each), _even(wide // columns)
        beside = [
            Box(index % columns * across, box.height + index // columns * each, across, each)
            for index in range(len(shown))
        ]
    return [(main, box), *zip(shown, beside, strict=True)]


def _main(people: Sequence[Seen], moment: Moment) -> Seen | None:
    """Return the speaker, or otherwise the first participant with an image."""
    speaking = next((one for one in people if one.participant == moment.speaker), None)
    return speaking or next((one for one in people if one.track is not None), None) or next(iter(people), None)


def _fitting(shown: Sequence[Seen], room: int) -> Sequence[Seen]:
    """Return at most `room` of those present, in order, with preference for those with an image."""
    if len(shown) <= room:
        return shown
    chosen = sorted(shown, key=lambda one: one.track is None)[:room]
    return [one for one in shown if one in chosen]


def _whole(options: FilmOptions) -> Box:
    return Box(0, 0, options.width, options.height)


def _box_of(region: Region, options: FilmOptions) -> Box:
    x, y = _even(int(region.x * options.width)), _even(int(region.y * options.height))
    width = min(_even(round(region.width * options.width)), options.width - x)
    return Box(x, y, width, min(_even(round(region.height * options.height)), options.height - y))


def _even(value: int) -> int:
    return value // 2 * 2
