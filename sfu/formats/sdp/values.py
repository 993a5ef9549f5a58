"""Parsers of single `a=` lines. Each function raises ValueError for text that the grammar does not allow."""

import re

from sfu.formats.sdp.description import (
    Candidate,
    Direction,
    ExtensionMap,
    Feedback,
    Fingerprint,
    FormatParameters,
    Group,
    Msid,
    Rid,
    RtpMap,
    Setup,
    Simulcast,
    SimulcastStream,
    SsrcAttribute,
    SsrcGroup,
)

_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}", re.ASCII)
_RID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_ICE = re.compile(r"[0-9A-Za-z+/=_-]+", re.ASCII)
_HEX_PAIRS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2})*", re.ASCII)


def integer(text: str, highest: int, lowest: int = 0) -> int:
    """Return a decimal number that must be within bounds."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError("not a number")
    value = int(text)
    if not lowest <= value <= highest:
        raise ValueError("number out of range")
    return value


def token(text: str) -> str:
    """Return RFC 8866's token, at most 64 characters."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("not a token")
    return text


def ice_text(text: str, shortest: int, longest: int = 256) -> str:
    """Return a ufrag or password (RFC 8839, section 5.4; some agents also write base64url and padding)."""
    if not (shortest <= len(text) <= longest and _ICE.fullmatch(text)):
        raise ValueError("not an ICE credential")
    return text


def rid_name(text: str) -> str:
    if not _RID.fullmatch(text):
        raise ValueError("not a rid")
    return text


def rtp_map(value: str) -> RtpMap:
    payload_type, encoding = _two(value)
    parts = encoding.split("/")
    if not 2 <= len(parts) <= 3:
        raise ValueError("rtpmap without clock rate")
    channels = integer(parts[2], 255, 1) if len(parts) == 3 else 1
    return RtpMap(integer(payload_type, 127), token(parts[0]), integer(parts[1], 2**31 - 1, 1), channels)


def format_parameters(value: str) -> FormatParameters:
    payload_type, _, text = value.partition(" ")
    return FormatParameters(integer(payload_type, 127), text)


def feedback(value: str) -> Feedback:
    payload_type, text = _two(value)
    if not text.strip():
        raise ValueError("rtcp-fb without a value")
    return Feedback(None if payload_type == "*" else integer(payload_type, 127), text)


def extension_map(value: str) -> ExtensionMap:
    first, rest = _two(value)
    uri, _, parameters = rest.partition(" ")
    id_text, slash, direction = first.partition("/")
    if not uri:
        raise ValueError("extmap without URI")
    # RFC 8285, section 6: offers may use 4096 to 4351 for extensions that need a real id in the answer.
    return ExtensionMap(integer(id_text, 4351, 1), uri, Direction(direction) if slash else None, parameters)


def rid(value: str) -> Rid:
    name, rest = _two(value)
    direction, _, restrictions = rest.partition(" ")
    if direction not in ("send", "recv"):
        raise ValueError("rid without direction")
    return Rid(rid_name(name), direction == "send", restrictions)


def simulcast(value: str) -> Simulcast:
    words = value.split()
    if len(words) not in (2, 4):
        raise ValueError("simulcast with neither one nor two directions")
    found: dict[str, tuple[tuple[SimulcastStream, ...], ...]] = {}
    for direction, streams in zip(words[::2], words[1::2], strict=True):
        if direction not in ("send", "recv") or direction in found:
            raise ValueError("simulcast direction")
        found[direction] = tuple(
            tuple(SimulcastStream(rid_name(name.removeprefix("~")), name.startswith("~")) for name in stream.split(","))
            for stream in streams.split(";")
        )
    return Simulcast(found.get("send", ()), found.get("recv", ()))


def ssrc_attribute(value: str) -> SsrcAttribute:
    ssrc, rest = _two(value)
    name, colon, text = rest.partition(":")
    return SsrcAttribute(integer(ssrc, 2**32 - 1), token(name), text if colon else None)


def ssrc_group(value: str) -> SsrcGroup:
    words = value.split()
    if not words:
        raise ValueError("ssrc-group without semantics")
    return SsrcGroup(token(words[0]), tuple(integer(word, 2**32 - 1) for word in words[1:]))


def msid(value: str) -> Msid:
    words = value.split()
    if not 1 <= len(words) <= 2:
        raise ValueError("msid")
    return Msid(words[0], words[1] if len(words) == 2 else None)


def fingerprint(value: str) -> Fingerprint:
    algorithm, digest = _two(value)
    digest = digest.strip().upper()
    if len(digest) > 191 or not _HEX_PAIRS.fullmatch(digest):
        raise ValueError("fingerprint is not hex")
    return Fingerprint(token(algorithm).lower(), digest)


def group(value: str) -> Group:
    words = value.split()
    if not words:
        raise ValueError("group without semantics")
    return Group(token(words[0]), tuple(token(word) for word in words[1:]))


def setup(value: str) -> Setup:
    return Setup(value.strip())


def candidate(value: str) -> Candidate:
    """Return the candidate; addresses are kept as text, since browsers write mDNS names (RFC 8839, section 5.1)."""
    words = value.split()
    if len(words) < 8 or words[6] != "typ" or len(words) % 2:
        raise ValueError("candidate")
    extensions = list(zip(words[8::2], words[9::2], strict=True))
    related_address: str | None = None
    related_port: int | None = None
    if extensions and extensions[0][0] == "raddr":
        related_address = extensions.pop(0)[1]
    if extensions and extensions[0][0] == "rport":
        related_port = integer(extensions.pop(0)[1], 65535)
    return Candidate(
        foundation=token(words[0]),
        component=integer(words[1], 256, 1),
        transport=words[2].lower(),
        priority=integer(words[3], 2**32 - 1),
        address=words[4],
        port=integer(words[5], 65535),
        type=words[7],
        related_address=related_address,
        related_port=related_port,
        extensions=tuple(extensions),
    )


def _two(value: str) -> tuple[str, str]:
    first, space, rest = value.partition(" ")
    if not space or not first:
        raise ValueError("attribute with a missing part")
    return first, rest
