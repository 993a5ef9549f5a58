"""Options for films of recordings: set over REST, stored in the job, applied by the recorder."""

from typing import Annotated, Any, Literal

import msgspec

Layout = Literal["grid", "speaker", "screen", "single", "waveform", "custom"]
Size = Literal["720p", "1080p", "vertical"]
Format = Literal["mp4", "webm", "m4a", "mp3"]
SIZES: dict[Size, tuple[int, int]] = {"720p": (1280, 720), "1080p": (1920, 1080), "vertical": (720, 1280)}
_SHARED = frozenset({"screen", "screen-audio"})
"""The sources of a shared screen."""
SOUND_ONLY: frozenset[Format] = frozenset({"m4a", "mp3"})

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Colour = Annotated[str, msgspec.Meta(pattern="^#[0-9A-Fa-f]{6}$")]
_Ms = Annotated[int, msgspec.Meta(ge=0, le=366 * 86_400_000)]
_Identifier = Annotated[str, msgspec.Meta(max_length=128)]


class Region(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the picture in a `custom` layout; its position and size are fractions of the picture's.

    `shows` is `screen` (the shared screen), `speaker`, `people` (a grid of everybody who is in no other region), or
    `participant` (the one with this id). If regions overlap, later ones are on top.
    """

    x: _Share
    y: _Share
    width: _Share
    height: _Share
    shows: Literal["screen", "speaker", "people", "participant"]
    participant: _Identifier = ""


class Watermark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A text, or a PNG or JPEG image as Base64, that is translucently shown over the picture.

    `opacity` is from 0 (invisible) to 1.
    """

    text: Annotated[str, msgspec.Meta(max_length=80)] = ""
    image: Annotated[str, msgspec.Meta(max_length=262_144)] = ""
    position: Literal[
        "top-left", "top", "top-right", "left", "centre", "right", "bottom-left", "bottom", "bottom-right"
    ] = "bottom-right"
    opacity: _Share = 0.4


class FilmOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A film's layout, size and format.

    Layouts: `grid`, `speaker` (the speaker large, the others beside), `screen` (only the shared screen, with the
    speaker's camera in a corner), `single` (one participant, or the speaker), `waveform` (names, and a waveform of the
    sound), `custom` (by `regions`). All except `waveform` and `custom` show a shared screen large.

    With `tracks`, only these are seen and heard; with `participant`, only this participant's, and in the layout
    `screen` only what this participant shares.

    `ranges` are the parts to include, (from, to) in ms of the recording, in order; without any, the film is complete.
    `captions` are shown in the picture (`burnt`), are a `track` that players can show, or are left out. `fragmented`
    MP4 can be played while it is written. `logo` is a PNG or JPEG image as Base64, shown in a corner.
    """

    layout: Layout = "grid"
    size: Size = "720p"
    format: Format = "mp4"
    fragmented: bool = False
    names: bool = True
    order: Literal["joined", "name"] = "joined"
    participant: _Identifier = ""
    background: _Colour = "#121418"
    logo: Annotated[str, msgspec.Meta(max_length=262_144)] = ""
    watermark: Watermark | None = None
    captions: Literal["none", "burnt", "track"] = "none"
    regions: Annotated[list[Region], msgspec.Meta(max_length=25)] = []
    tracks: Annotated[list[_Identifier], msgspec.Meta(max_length=50)] = []
    ranges: Annotated[list[tuple[_Ms, _Ms]], msgspec.Meta(max_length=100)] = []

    @property
    def width(self) -> int:
        return SIZES[self.size][0]

    @property
    def height(self) -> int:
        return SIZES[self.size][1]

    def takes(self, track: str, participant: str, source: str) -> bool:
        """Return whether a participant's track can be seen or heard in the film."""
        if self.tracks and track not in self.tracks:
            return False
        if not self.participant:
            return True
        return participant == self.participant and (self.layout != "screen" or source in _SHARED)

    def problem(self) -> str | None:
        """Return a sentence that describes a contradiction in these options, if there is one."""
        if (self.layout == "custom") != bool(self.regions):
            return "A custom layout needs regions; other layouts have none."
        if any(region.x + region.width > 1.001 or region.y + region.height > 1.001 for region in self.regions):
            return "A region must be within the picture."
        if any((region.shows == "participant") != bool(region.participant) for region in self.regions):
            return "A region that shows a participant needs the participant's id; other regions have none."
        if self.watermark is not None and bool(self.watermark.text.strip()) == bool(self.watermark.image):
            return "A watermark needs either a text or an image."
        ends = [0, *(edge for span in self.ranges for edge in span)]
        if ends != sorted(ends) or any(start >= end for start, end in self.ranges):
            return "Ranges must be in order and must not overlap."
        return None


def to_job(options: FilmOptions) -> dict[str, Any]:
    """Return options in the form that a job stores."""
    return dict(msgspec.to_builtins(options))


def from_job(carried: dict[str, Any]) -> FilmOptions:
    """Return the options stored in a job; raises ValueError if they are invalid."""
    return msgspec.convert(carried, FilmOptions)
