"""SIP messages: bounded parsing over `sipmessage`, framing of streams, and what every response needs.

`sipmessage` neither unfolds header lines nor checks that mandatory headers are there and valid, so `parse` does.
"""

import contextlib
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from sipmessage import Address, Message, Request, Response

MAX_BYTES = 16 * 1024
"""The longest message; offers of phones have about 2 KiB."""
_MAX_HEADERS = 128
_FOLD = re.compile(rb"\r\n[ \t]+")
_SPACED_COLON = re.compile(rb"(?m)^([A-Za-z0-9-]+)[ \t]+:")
_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$")
_HEAD_END = b"\r\n\r\n"
SDP = "application/sdp"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY"
MAGIC = "z9hG4bK"
"""The beginning of a branch according to RFC 3261, section 8.1.1.7."""

PHRASES = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    503: "Service Unavailable",
}


class Flow(NamedTuple):
    """The transport ("udp", "tcp" or "tls") and the remote address of a message."""

    transport: str
    host: str
    port: int

    @property
    def is_reliable(self) -> bool:
        return self.transport != "udp"


def parse(data: bytes) -> Request | Response:
    """Return a message whose mandatory headers are valid (RFC 3261, section 8.1.1); raises ValueError."""
    if len(data) > MAX_BYTES:
        raise ValueError("SIP message is too long")
    head, separator, body = data.partition(_HEAD_END)
    if not separator:
        raise ValueError("SIP message without an empty line")
    head = _SPACED_COLON.sub(rb"\1:", _FOLD.sub(b" ", head))
    if head.count(b"\r\n") > _MAX_HEADERS or b"\0" in head:
        raise ValueError("SIP message with too many headers, or a zero byte")
    try:
        message = Message.parse(head + separator + body)
        _check(message)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"SIP message is malformed: {error}") from error
    length = message.content_length
    if length is not None:
        if not 0 <= length <= len(message.body):
            raise ValueError("SIP message is shorter than its Content-Length")
        message.body = message.body[:length]
    return message


def _check(message: Request | Response) -> None:
    via = message.via
    if not via or not message.call_id:
        raise ValueError("Via or Call-ID is missing")
    cseq = message.cseq
    if cseq.sequence >= 1 << 31:
        raise ValueError("CSeq is too large")
    message.from_address  # noqa: B018  raises if it is malformed
    message.to_address  # noqa: B018
    message.contact  # noqa: B018
    message.record_route  # noqa: B018
    if isinstance(message, Request):
        if cseq.method != message.method:
            raise ValueError("CSeq has another method")
    elif not 100 <= message.code <= 699:
        raise ValueError("the status is not from 100 to 699")


class StreamFraming:
    """Messages in a stream (RFC 3261, section 18.3). Empty lines between them are keepalives (RFC 5626)."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def push(self, data: bytes) -> list[bytes]:
        """Return the complete messages so far; raises ValueError if the stream cannot be followed."""
        self._waiting += data
        found: list[bytes] = []
        while True:
            blank = len(self._waiting) - len(self._waiting.lstrip(b"\r\n"))
            del self._waiting[:blank]
            end = self._waiting.find(_HEAD_END)
            if end < 0:
                if len(self._waiting) > MAX_BYTES:
                    raise ValueError("SIP message is too long")
                return found
            length = _LENGTH.search(bytes(self._waiting[:end]) + b"\r\n")
            if length is None:
                raise ValueError("SIP message in a stream without Content-Length")
            total = end + len(_HEAD_END) + int(length[1])
            if total > MAX_BYTES:
                raise ValueError("SIP message is too long")
            if len(self._waiting) < total:
                return found
            found.append(bytes(self._waiting[:total]))
            del self._waiting[:total]


def split_values(header: str) -> list[str]:
    """Return the values of a header, which commas outside of quotes and angle brackets separate."""
    found: list[str] = []
    depth, begin = 0, 0
    quoted = escaped = False
    for position, letter in enumerate(header):
        if escaped:
            escaped = False
        elif quoted and letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif not quoted and letter in "<>":
            depth += 1 if letter == "<" else -1
        elif letter == "," and not quoted and depth <= 0:
            found.append(header[begin:position].strip())
            begin = position + 1
    found.append(header[begin:].strip())
    return [one for one in found if one]


def values_of(message: Message, header: str) -> list[str]:
    """Return all values of a header as they were sent, so that they can be echoed unchanged."""
    return [one for line in message.headers.getlist(header) for one in split_values(line)]


def compose(first_line: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> bytes:
    """Return a message's bytes, with its Content-Length; raises ValueError for a line break in a header."""
    lines = [first_line, *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body)}", "", ""]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header contains a line break")
    return "\r\n".join(lines).encode() + body


def new_branch() -> str:
    return MAGIC + secrets.token_hex(12)


def new_tag() -> str:
    return secrets.token_hex(8)


def tag_of(address: Address) -> str:
    return address.parameters.get("tag") or ""


def branch_of(message: Message) -> str:
    return message.via[0].parameters.get("branch") or ""


def respond(
    request: Request,
    code: int,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    tag: str = "",
    phrase: str = "",
) -> bytes:
    """Return a response to a request (RFC 3261, section 8.2.6), with `tag` for a To that has none."""
    to = request.headers.get("To", "") or ""
    if tag and not tag_of(request.to_address):
        to = f"{to};tag={tag}"
    echoed = [("Via", via) for via in values_of(request, "Via")]
    if code < 300:
        echoed += [("Record-Route", route) for route in values_of(request, "Record-Route")]
    echoed += [("From", request.headers.get("From", "") or ""), ("To", to), ("Call-ID", request.call_id)]
    echoed.append(("CSeq", str(request.cseq)))
    return compose(f"SIP/2.0 {code} {phrase or PHRASES.get(code, 'Response')}", [*echoed, *headers], body)


def note_source(request: Request, flow: Flow) -> None:
    """Add the address that a request came from to its topmost Via (RFC 3581)."""
    first, *others = values_of(request, "Via")
    wants_port = "rport" in request.via[0].parameters
    first = re.sub(r";\s*(?:received|rport)\b[^;]*", "", first)
    first += f";received={flow.host}" + (f";rport={flow.port}" if wants_port else "")
    request.headers.setlist("Via", [first, *others])


def number_in(address: Address) -> str:
    """Return the user of an address, which is a phone number at a trunk, in printable characters."""
    user = (address.uri.user or "").partition(";")[0]
    return "".join(letter for letter in user if letter.isprintable())[:64]


def option_tags(message: Message, header: str) -> set[str]:
    """Return the lower-case option tags of a header such as Supported."""
    found: set[str] = set()
    for value in message.headers.getlist(header):
        found |= {one.strip().lower() for one in value.split(",") if one.strip()}
    return found


def seconds_in(value: str | None) -> int | None:
    """Return the number of seconds at the beginning of a header's value; None if there is none."""
    with contextlib.suppress(ValueError):
        return int((value or "").partition(";")[0].strip()[:9])
    return None


def has_description(message: Message) -> bool:
    """Return whether a message contains a session description."""
    kind = (message.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return bool(message.body) and kind == SDP


def text_of(message: Message) -> str:
    return message.body.decode("utf-8", "replace")


def in_uri(host: str) -> str:
    """Return a host as URIs contain it."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
