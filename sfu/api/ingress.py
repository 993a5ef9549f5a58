"""Messages between control and ingress, the part that receives streams over RTMP and reads them from URLs.

    POST /internal/v1/ingress/check   KeyCheck     -> CheckedKey
    POST /internal/v1/ingress/open    OpenStream   -> OpenedStream
    POST /internal/v1/ingress/close   CloseStream  -> nothing
    POST /internal/v1/ingress/report  IngressReport -> IngressOrders

A stream has the id of its stream key. Its media goes to a plain SRTP transport, which control opens on the room's node.
Ingress reports every second; streams that are not in `held` of the response must end.
"""

from typing import Literal

import msgspec

from sfu.api.join_token import Source
from sfu.api.plain_transport import PlainTrack, SrtpKey

StreamPhase = Literal["waiting", "connecting", "live", "retrying", "ended"]
StreamProtocol = Literal["rtmp", "srt", "rtsp", "url", "page"]

NOBODY = "nobody"
"""The code of a refusal because the room is empty; the stream waits for the first participant."""
VIDEO_TYPE, RTX_TYPE, AUDIO_TYPE = 96, 97, 111
"""The payload types of H.264, its retransmissions, and Opus."""
VIDEO_TRACK = PlainTrack(
    source=Source.CAMERA,
    codec="H264",
    payload_type=VIDEO_TYPE,
    rtx_payload_type=RTX_TYPE,
    fmtp="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
)
AUDIO_TRACK = PlainTrack(
    source=Source.MICROPHONE, codec="opus", payload_type=AUDIO_TYPE, fmtp="stereo=1;useinbandfec=1"
)


class KeyCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The hash (hexadecimal) of a stream key that a client presented to the ingress `instance`."""

    key_hash: str
    instance: str


class CheckedKey(msgspec.Struct, frozen=True, kw_only=True):
    """The stream of a valid key, or the code and reason of a refusal."""

    stream: str = ""
    code: str = ""
    detail: str = ""


class OpenStream(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a transport, for a stream whose media arrives at the ingress `instance`."""

    stream: str
    instance: str
    video: bool
    audio: bool


class OpenedStream(msgspec.Struct, frozen=True, kw_only=True):
    """The transport to send to, or the code and reason of a refusal. `again`: a retry may succeed."""

    transport: str = ""
    address: str = ""
    port: int = 0
    srtp: SrtpKey | None = None
    code: str = ""
    detail: str = ""
    again: bool = False

    def __repr__(self) -> str:
        """Return the transport without its key, for logs."""
        return f"OpenedStream({self.transport!r}, {self.code!r})"


class CloseStream(msgspec.Struct, frozen=True, kw_only=True):
    """A request to close a transport of a stream."""

    stream: str
    instance: str
    transport: str


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a stream. `since` is when the phase began (Unix ms), `error` the latest problem.

    Bits and frames per second are those of the incoming stream. `dropped` counts frames that were skipped because the
    server was busy.
    """

    phase: StreamPhase
    since: int
    protocol: StreamProtocol
    bits_per_second: int = 0
    width: int = 0
    height: int = 0
    frames_per_second: float = 0.0
    dropped: int = 0
    attempts: int = 0
    error: str = ""


class IngressReport(msgspec.Struct, frozen=True, kw_only=True):
    """The streams of an ingress, and the numbers of further URLs that it can read (`free`) and of further web pages."""

    instance: str
    free: int
    free_pages: int = 0
    streams: dict[str, StreamState] = {}


class PageView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """View of a web page: the size of its picture in pixels.

    `announces_start`: it starts when the page logs START_RECORDING. `own` is the server's own host with its port, which
    the page may reach in a private network, too.
    """

    width: int
    height: int
    announces_start: bool = False
    own: str = ""


class UrlOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A URL to read, or with `page`, a web page to open in a browser. `private`: it may be in a private network."""

    stream: str
    url: str
    private: bool = False
    page: PageView | None = None

    def __repr__(self) -> str:
        """Return the stream without its URL, which may have a password, for logs."""
        return f"UrlOrder({self.stream!r})"


class IngressOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The streams of the report that may continue (`held`), and all URLs to read, including those in progress."""

    held: list[str]
    urls: list[UrlOrder]
