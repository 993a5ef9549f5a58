"""Messages between ingress and its transcoding processes."""

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The order to transcode the content of `url`, or without one the units that come in over the socket."""

    height: int
    url: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The tracks of the stream, the size of its pictures as they arrive, whether the content of its URL has ended, and
    the reason of a failure.
    """

    video: bool = False
    audio: bool = False
    width: int = 0
    height: int = 0
    ended: bool = False
    error: str = ""


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the content of a URL from an offset in bytes."""

    url: str
    offset: int = 0


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, with a descriptor that has the content unless there is an `error`.

    `size` is the length of the whole content, -1 if it is unknown. `seekable` means that offsets are honoured. `url` is
    where redirects led.
    """

    size: int = -1
    seekable: bool = False
    url: str = ""
    error: str = ""
