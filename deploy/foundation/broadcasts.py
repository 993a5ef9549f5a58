"""Messages between control and a recorder about a broadcast.

    POST /internal/v1/broadcasts/{id}/report  BroadcastReport -> BroadcastOrders

A recorder reports every second while it runs a broadcast. With `held` false it must stop: the broadcast is over, or
another recorder has taken it.
"""

from typing import Annotated, Literal

import msgspec

from foundation.film_options import FilmOptions

OutputKind = Literal["rtmp", "hls", "srt", "images", "websocket"]
OutputPhase = Literal["waiting", "connecting", "live", "retrying"]
LIVE_PREFIX = "_live/"
"""Prefix of HLS segments in the store of recordings, followed by the recorder and the output."""
IMAGES_PREFIX = "_images/"
"""Prefix of images in the store of recordings, followed by the meeting and the output."""
MOST_IMAGES = 100_000
"""The images, or the segments in a bucket, of an output."""
LIVE_PATH = "/api/v1/live/"
"""Path of HLS outputs in the REST API, followed by the watch key."""
PLAYLIST = "live.m3u8"
_BASE_NAME = "^[A-Za-z0-9_-]{1,64}$"


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A series of JPEG images, one every `seconds`. Width and height are pixels; 0 is the picture's.

    Names are PREFIX_INDEX.jpg, PREFIX_TIME.jpg (UTC, to ms), or PREFIX.jpg for one image that is replaced.
    """

    seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 10
    width: Annotated[int, msgspec.Meta(ge=0, le=1920)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, le=1920)] = 0
    prefix: Annotated[str, msgspec.Meta(pattern=_BASE_NAME)] = "image"
    suffix: Literal["index", "time", "none"] = "index"


class SegmentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """HLS in a bucket: segments of about `seconds`, which stay, with a playlist of all of them.

    Names are PREFIX_INDEX.m4s or PREFIX_TIME.m4s (UTC, to ms), PLAYLIST.m3u8, and LIVE_PLAYLIST.m3u8 for the newest
    segments unless it is "".
    """

    prefix: Annotated[str, msgspec.Meta(pattern=_BASE_NAME)]
    playlist: Annotated[str, msgspec.Meta(pattern=_BASE_NAME)]
    live_playlist: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{0,64}$")] = ""
    seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 4
    suffix: Literal["index", "time"] = "index"


class OutputView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The picture of an output, if that is not the broadcast's, and the options of its images or segments.

    With a `folder`, they go to a bucket; it is the beginning of their keys there.
    """

    film: FilmOptions | None = None
    images: ImageOptions | None = None
    segments: SegmentOptions | None = None
    folder: str | None = None


class OutputOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A target. `key` is an RTMP server's stream key, an SRT output's secrets, the query of a WebSocket's URL, or the
    bucket of images and segments (objects.buckets).

    With `private`, the address may be in a private network. `folder` is the prefix of the images in Parley's own store.
    `begun` is when the output was ordered (Unix ms).
    """

    id: str
    kind: OutputKind
    url: str = ""
    key: str = ""
    private: bool = False
    view: OutputView = OutputView()
    folder: str = ""
    begun: int = 0

    def __repr__(self) -> str:
        """Return the address without its key, for logs."""
        return f"OutputOrder({self.id!r}, {self.kind!r})"


class OutputState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a target. `since` is when the phase began (Unix ms), `error` the latest problem.

    `delay_ms` is the time from capture to delivery; `dropped` counts pictures, packets of SRT and pieces of sound
    that could not be delivered in time; `images` counts those stored, or the segments in a bucket.
    """

    phase: OutputPhase
    since: int
    bits_per_second: int = 0
    dropped: int = 0
    delay_ms: int = 0
    attempts: int = 0
    error: str = ""
    images: int = 0


class BroadcastReport(msgspec.Struct, frozen=True, kw_only=True):
    """A recorder's report. `instance` is the recorder's name in LIVE_PREFIX. `placement` is the epoch under which its
    node holds the room; of two recorders, the one with the higher epoch wins.

    `pictures` counts pictures made since the start, `left_out` those left out for lack of time.
    """

    instance: str
    placement: int
    people: int = 0
    pictures: int = 0
    left_out: int = 0
    problem: str = ""
    outputs: dict[str, OutputState] = {}


class BroadcastOrders(msgspec.Struct, frozen=True, kw_only=True):
    held: bool
    film: FilmOptions = FilmOptions()
    bits: int = 2_500_000
    outputs: list[OutputOrder] = []
