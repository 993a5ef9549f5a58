"""Messages between ingress and its transcoding processes."""

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The order to transcode the content of `url`, or, if it is empty, the units received over the socket.

    With `form`, these are the content of a container of that format, as it arrives. `sound` is FFmpeg's decoder of
    units of audio, with rate and channels, 0 if the configuration has them.
    """

    height: int
    url: str = ""
    form: str = ""
    sound: tuple[str, int, int] = ("aac", 0, 0)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The tracks of the stream, the size of its pictures as they arrive, the number of those that were skipped because
    decoding was behind, whether the content of its URL has ended, and the reason of a failure.
    """

    video: bool = False
    audio: bool = False
    width: int = 0
    height: int = 0
    skipped: int = 0
    ended: bool = False
    error: str = ""


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the content of a URL from an offset in bytes."""

    url: str
    offset: int = 0


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """The response to a Fetch, with a descriptor to read the content from, unless there is an `error`.

    `size` is the length of the entire content in bytes, -1 if it is unknown. `seekable`: the server supports offsets.
    `url` is the address after redirects.
    """

    size: int = -1
    seekable: bool = False
    url: str = ""
    error: str = ""
