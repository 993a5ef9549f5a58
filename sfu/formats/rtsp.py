"""A client of RTSP 1.0 (RFC 2326) that plays H.264 and audio, interleaved in its TCP connection. Without I/O."""

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urljoin

from sfu.formats.codecs import Codec
from sfu.formats.sdp.description import MediaSection
from sfu.formats.sdp.parse import parse

_DOLLAR = 0x24
_MAX_HEAD = 16 * 1024
_MAX_BODY = 256 * 1024
_OK, _UNAUTHORIZED, _SESSION_LOST = 200, 401, 454
_STATIC = {0: ("pcmu", 8000), 8: ("pcma", 8000), 9: ("g722", 8000)}
_KNOWN = {
    "h264": Codec.H264,
    "opus": Codec.OPUS,
    "pcmu": Codec.G711_ULAW,
    "pcma": Codec.G711_ALAW,
    "g722": Codec.G722,
}
_DEFAULT_SECONDS = 60
_RTP_INFO = re.compile(r"url=([^;,\s]+)[^,]*?;rtptime=(\d+)")

Authorize = Callable[[list[str], str, str], str]
"""Answers challenges (WWW-Authenticate headers) for a method and a URI; raises ValueError if it cannot."""


class Track(NamedTuple):
    """A track of the presentation. AAC has the name `aac` and no codec; `fmtp` holds its parameters by name."""

    name: str
    codec: Codec | None
    payload_type: int
    clock_rate: int
    channels: int
    control: str
    fmtp: dict[str, str]
    fmtp_text: str

    @property
    def is_video(self) -> bool:
        return self.codec is Codec.H264


class Packet(NamedTuple):
    """A packet of the track with this index: RTP, or RTCP."""

    track: int
    rtcp: bool
    data: bytes


class Failed(ValueError):
    """The server cannot be used; the text is shown to hosts."""


class Client:
    """A session. `tracks` is known, and `is_playing` true, once the server plays; `first` has the RTP times of its
    start by track, if the server tells them. Raises Failed.
    """

    def __init__(self, url: str, authorize: Authorize) -> None:
        self.tracks: list[Track] = []
        self.first: dict[int, int] = {}
        self.is_playing = False
        self.keep_seconds = _DEFAULT_SECONDS / 2
        self._url = self._base = url
        self._authorize = authorize
        self._challenges: list[str] = []
        self._tried = False
        self._asked: tuple[str, str, tuple[str, ...]] = ("", "", ())
        self._waits = False
        self._sequence = 0
        self._session = ""
        self._input = bytearray()
        self._output = bytearray()
        self._ask("DESCRIBE", url, "Accept: application/sdp")

    def receive(self, data: bytes) -> list[Packet]:
        """Take what the server sent; return the packets in it."""
        self._input += data
        found: list[Packet] = []
        while self._input:
            if self._input[0] == _DOLLAR:
                if len(self._input) < 4:
                    break
                size = int.from_bytes(self._input[2:4], "big")
                if len(self._input) < 4 + size:
                    break
                channel = self._input[1]
                if channel // 2 < len(self.tracks):
                    found.append(Packet(channel // 2, bool(channel % 2), bytes(self._input[4 : 4 + size])))
                del self._input[: 4 + size]
            elif not self._take_response():
                break
        return found

    def output(self) -> bytes:
        """Return the bytes to send, once."""
        made, self._output = bytes(self._output), bytearray()
        return made

    def keep(self) -> None:
        """Keep the session; call it every `keep_seconds`."""
        if self.is_playing and not self._waits:
            self._ask("GET_PARAMETER", self._base)

    def end(self) -> None:
        if self._session:
            self._ask("TEARDOWN", self._base)

    def _ask(self, method: str, uri: str, *headers: str) -> None:
        self._asked = method, uri, headers
        self._sequence += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self._sequence}", "User-Agent: Parley", *headers]
        if self._session:
            lines.append(f"Session: {self._session}")
        if self._challenges:
            lines.append(f"Authorization: {self._authorize(self._challenges, method, uri)}")
        self._output += ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._waits = True

    def _take_response(self) -> bool:
        """Process one message; return False if it is incomplete."""
        head, separator, rest = bytes(self._input).partition(b"\r\n\r\n")
        if not separator:
            if len(self._input) > _MAX_HEAD:
                raise Failed("The server does not speak RTSP.")
            return False
        first, *lines = head.decode("utf-8", "replace").split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers.setdefault(name.strip().lower(), []).append(value.strip())
        length = headers.get("content-length", ["0"])[0]
        if not length.isascii() or not length.isdecimal() or int(length) > _MAX_BODY:
            raise Failed("The server does not speak RTSP.")
        if len(rest) < int(length):
            return False
        del self._input[: len(head) + 4 + int(length)]
        if not first.startswith("RTSP/"):
            return True  # a request of the server's, which needs no answer here
        words = first.split(" ", 2)
        if len(words) < 2 or not words[1].isdecimal():
            raise Failed("The server does not speak RTSP.")
        self._answered(int(words[1]), headers, rest[: int(length)].decode("utf-8", "replace"))
        return True

    def _answered(self, status: int, headers: dict[str, list[str]], body: str) -> None:
        method, uri, asked = self._asked
        self._waits = False
        if status == _UNAUTHORIZED and not self._tried:
            self._tried, self._challenges = True, headers.get("www-authenticate", [])
            self._ask(method, uri, *asked)
            return
        self._tried = False
        if method == "GET_PARAMETER":
            if status == _SESSION_LOST:
                raise Failed("The server ended the session.")
            return
        if status == _UNAUTHORIZED:
            raise Failed("The server requires another user or password.")
        if status != _OK:
            raise Failed(f"The server answered with status {status}.")
        match method:
            case "DESCRIBE":
                self._base = (headers.get("content-base") or headers.get("content-location") or [self._url])[0]
                self._describe(body)
                self._set_up(0)
            case "SETUP":
                self._begin_session(headers.get("session", [""])[0])
                index = int(asked[0].rpartition("=")[2].partition("-")[0]) // 2
                self._set_up(index + 1)
            case "PLAY":
                self.is_playing = True
                self._note_first(headers.get("rtp-info", [""])[0])
            case _:
                pass

    def _describe(self, body: str) -> None:
        try:
            description = parse(body)
        except ValueError as error:
            raise Failed(f"The server's description cannot be read: {error}.") from error
        control = next((one.value for one in description.attributes if one.name == "control"), None)
        if control and control != "*":
            self._base = control
        found = [track for section in description.media if (track := self._track(section)) is not None]
        video = next((track for track in found if track.is_video), None)
        audio = next((track for track in found if not track.is_video), None)
        self.tracks = [track for track in (video, audio) if track is not None]
        if not self.tracks:
            raise Failed("The server has neither H.264 video nor audio that is supported (AAC, Opus, G.711, G.722).")

    def _track(self, section: MediaSection) -> Track | None:
        number = int(section.formats[0]) if section.formats and section.formats[0].isdecimal() else -1
        mapped = next((one for one in section.rtp_maps if one.payload_type == number), None)
        name, rate = (mapped.name.lower(), mapped.clock_rate) if mapped is not None else _STATIC.get(number, ("", 0))
        given = next((one for one in section.parameters if one.payload_type == number), None)
        fmtp = given.values if given is not None else {}
        is_aac = name == "mpeg4-generic" and fmtp.get("mode", "").lower() == "aac-hbr"
        if (name not in _KNOWN and not is_aac) or rate <= 0:
            return None
        control = next((one.value for one in section.attributes if one.name == "control"), None) or ""
        base = self._base if self._base.endswith("/") else f"{self._base}/"
        return Track(
            "aac" if is_aac else name,
            None if is_aac else _KNOWN[name],
            number,
            rate,
            mapped.channels if mapped is not None else 1,
            control if "://" in control else base + control if control and control != "*" else self._base,
            fmtp,
            given.text if given is not None else "",
        )

    def _set_up(self, index: int) -> None:
        if index < len(self.tracks):
            channels = f"Transport: RTP/AVP/TCP;unicast;interleaved={2 * index}-{2 * index + 1}"
            self._ask("SETUP", self.tracks[index].control, channels)
        else:
            self._ask("PLAY", self._base, "Range: npt=0.000-")

    def _begin_session(self, header: str) -> None:
        session, *parameters = header.split(";")
        self._session = session.strip()
        for parameter in parameters:
            name, _, seconds = parameter.strip().partition("=")
            if name == "timeout" and seconds.isdecimal():
                self.keep_seconds = max(5.0, min(int(seconds), 3600) / 2)

    def _note_first(self, info: str) -> None:
        for url, time in _RTP_INFO.findall(info):
            for index, track in enumerate(self.tracks):
                if urljoin(self._base, url).rstrip("/") == track.control.rstrip("/"):
                    self.first[index] = int(time) % (1 << 32)


def access_units(payload: bytes, fmtp: dict[str, str]) -> list[bytes]:
    """Return the AAC frames in a payload of mpeg4-generic (RFC 3640, section 3.3.6); raises ValueError."""
    size, index = int(fmtp.get("sizelength", "13")), int(fmtp.get("indexlength", "3"))
    bits = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or size + index != 16 or bits % 16 or len(payload) < 2 + bits // 8:
        raise ValueError("the headers of AAC are malformed")
    headers = [int.from_bytes(payload[2 + at : 4 + at], "big") >> index for at in range(0, bits // 8, 2)]
    found, position = [], 2 + bits // 8
    for length in headers:
        if position + length > len(payload):
            raise ValueError("an AAC frame is cut off")
        found.append(payload[position : position + length])
        position += length
    return found
