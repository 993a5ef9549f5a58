"""Text to `SessionDescription`.

More lenient than RFC 8866, as peers are: lines may end with LF alone, and the order of lines after `v=` is not checked.
Bandwidth, timing and contact lines mean nothing in WebRTC and are ignored.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

from sfu.formats.sdp import values
from sfu.formats.sdp.description import (
    Attribute,
    Candidate,
    Direction,
    ExtensionMap,
    Feedback,
    Fingerprint,
    FormatParameters,
    Group,
    MediaSection,
    Msid,
    Origin,
    Rid,
    RtpMap,
    SessionDescription,
    Setup,
    Simulcast,
    SsrcAttribute,
    SsrcGroup,
    TransportParameters,
)

MAX_BYTES = 256 * 1024
MAX_SECTIONS = 200
_DESCRIPTIONS = 4
_LINES, _LINE_CHARACTERS = 1024, 128
"""The lines of one kind that are remembered, since most repeat in each m-section and for each participant."""
_SECTIONS, _SECTION_CHARACTERS = 256, 3072
"""The same for m-sections without their mids; a malicious one this long takes 100 KB."""
_MID = re.compile(r"\na=mid:([^\r\n]*)\r?(?=\n|\Z)")
T = TypeVar("T")


@lru_cache(_DESCRIPTIONS)
def parse(text: str) -> SessionDescription:
    """Return the description; raises ValueError if it is malformed or exceeds MAX_BYTES or MAX_SECTIONS.

    The last few are remembered, since several parts look into each offer.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ValueError("session description is too long")
    session, *sections = text.rstrip("\r\n").split("\nm=")
    if len(sections) > MAX_SECTIONS:
        raise ValueError("too many m-sections")
    version, *lines = _lines(session)
    if version != "v=0":
        raise ValueError("session description does not begin with v=0")
    return _session(_part("", lines), tuple(_section(section) for section in sections))


def _lines(text: str) -> list[str]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if any("\r" in line or "\0" in line for line in lines):
        raise ValueError("not a line of a session description")
    return lines


@dataclass(slots=True)
class _Part:
    """The lines collected for the session or one m-section."""

    media_line: str = ""
    origin: Origin | None = None
    name: str = "-"
    connection: str | None = None
    direction: Direction | None = None
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    ice_options: str | None = None
    setup: Setup | None = None
    simulcast: Simulcast | None = None
    rtp_maps: list[RtpMap] = field(default_factory=list)
    parameters: list[FormatParameters] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    extensions: list[ExtensionMap] = field(default_factory=list)
    rids: list[Rid] = field(default_factory=list)
    msids: list[Msid] = field(default_factory=list)
    ssrcs: list[SsrcAttribute] = field(default_factory=list)
    ssrc_groups: list[SsrcGroup] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    fingerprints: list[Fingerprint] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    attributes: list[Attribute] = field(default_factory=list)


Taker = Callable[[_Part, str], None]


def _part(media_line: str, lines: Iterable[str]) -> _Part:
    part = _Part(media_line)
    for line in lines:
        if line[1:2] != "=":
            raise ValueError("not a line of a session description")
        if line[0] == "a":
            _take_attribute(part, line[2:])
        else:
            _take(part, line[0], line[2:])
    return part


def _take(part: _Part, kind: str, value: str) -> None:
    if kind == "c":
        part.connection = value
    elif kind == "o" and not part.media_line:
        part.origin = _origin(value)
    elif kind == "s" and not part.media_line:
        part.name = value


def _take_attribute(part: _Part, line: str) -> None:
    name, colon, value = line.partition(":")
    if not colon and name in _DIRECTIONS:
        part.direction = Direction(name)
    elif not colon and name in (_SECTION_FLAGS if part.media_line else _SESSION_FLAGS):
        part.flags.add(name)
    elif colon and name in _EVERYWHERE:
        _EVERYWHERE[name](part, value)
    elif colon and part.media_line and name in _IN_SECTION:
        _IN_SECTION[name](part, value)
    elif colon and not part.media_line and name == "group":
        part.groups.append(values.group(value))
    else:
        part.attributes.append(Attribute(values.token(name), value if colon else None))


def _origin(value: str) -> Origin:
    words = value.split()
    if len(words) != 6 or words[3] != "IN" or words[4] not in ("IP4", "IP6"):
        raise ValueError("o= line")
    values.integer(words[1], 2**64 - 1)
    return Origin(words[0], words[1], values.integer(words[2], 2**64 - 1), words[5])


def _session(part: _Part, media: tuple[MediaSection, ...]) -> SessionDescription:
    if part.origin is None:
        raise ValueError("session description without o=")
    mids = [section.mid for section in media if section.mid is not None]
    if len(set(mids)) != len(mids):
        raise ValueError("two m-sections with the same mid")
    return SessionDescription(
        origin=part.origin,
        name=part.name,
        connection=part.connection,
        groups=tuple(part.groups),
        ice_lite="ice-lite" in part.flags,
        extmap_allow_mixed="extmap-allow-mixed" in part.flags,
        direction=part.direction,
        transport=_transport(part),
        extensions=tuple(part.extensions),
        attributes=tuple(part.attributes),
        media=media,
    )


def _section(text: str) -> MediaSection:
    """Return an m-section from its text without "m=". In an answer to many slots, those of a kind often differ by their
    mid alone, so the rest is remembered.
    """
    mid = _MID.search(text)
    if mid is None:
        return _section_without_mid(text)
    return replace(_section_without_mid(text[: mid.start()] + text[mid.end() :]), mid=values.token(mid[1]))


def _new_section(text: str) -> MediaSection:
    media_line, *lines = _lines(text)
    part = _part(media_line, lines)
    words = part.media_line.split()
    if len(words) < 3:
        raise ValueError("m= line")
    return MediaSection(
        kind=values.token(words[0]),
        port=values.integer(words[1], 65535),
        protocol=words[2],
        formats=tuple(words[3:]),
        direction=part.direction,
        connection=part.connection,
        transport=_transport(part),
        rtp_maps=tuple(part.rtp_maps),
        parameters=tuple(part.parameters),
        feedback=tuple(part.feedback),
        extensions=tuple(part.extensions),
        extmap_allow_mixed="extmap-allow-mixed" in part.flags,
        rids=tuple(part.rids),
        simulcast=part.simulcast,
        msids=tuple(part.msids),
        ssrcs=tuple(part.ssrcs),
        ssrc_groups=tuple(part.ssrc_groups),
        candidates=tuple(part.candidates),
        end_of_candidates="end-of-candidates" in part.flags,
        rtcp_mux="rtcp-mux" in part.flags,
        rtcp_rsize="rtcp-rsize" in part.flags,
        bundle_only="bundle-only" in part.flags,
        attributes=tuple(part.attributes),
    )


def _transport(part: _Part) -> TransportParameters:
    return TransportParameters(part.ice_ufrag, part.ice_pwd, part.ice_options, tuple(part.fingerprints), part.setup)


def _ufrag(part: _Part, value: str) -> None:
    part.ice_ufrag = values.ice_text(value, 4)


def _pwd(part: _Part, value: str) -> None:
    part.ice_pwd = values.ice_text(value, 22)


def _ice_options(part: _Part, value: str) -> None:
    part.ice_options = value


def _setup(part: _Part, value: str) -> None:
    part.setup = values.setup(value)


def _simulcast(part: _Part, value: str) -> None:
    part.simulcast = values.simulcast(value)


def _appending(read: Callable[[str], T], where: Callable[[_Part], list[T]]) -> Taker:
    def take(part: _Part, value: str) -> None:
        where(part).append(read(value))

    return take


def remembered(read: Callable[[str], T], texts: int = _LINES, characters: int = _LINE_CHARACTERS) -> Callable[[str], T]:
    """Return a parser that remembers the last short texts; `read` must return an immutable value."""
    remembering = lru_cache(texts)(read)

    def read_or_remember(text: str) -> T:
        return remembering(text) if len(text) <= characters else read(text)

    return read_or_remember


_DIRECTIONS = frozenset(direction.value for direction in Direction)
_SESSION_FLAGS = frozenset({"ice-lite", "extmap-allow-mixed"})
_SECTION_FLAGS = frozenset({"extmap-allow-mixed", "end-of-candidates", "rtcp-mux", "rtcp-rsize", "bundle-only"})
_EVERYWHERE: dict[str, Taker] = {
    "ice-ufrag": _ufrag,
    "ice-pwd": _pwd,
    "ice-options": _ice_options,
    "setup": _setup,
    "fingerprint": _appending(remembered(values.fingerprint), lambda part: part.fingerprints),
    "extmap": _appending(remembered(values.extension_map), lambda part: part.extensions),
}
_IN_SECTION: dict[str, Taker] = {
    "simulcast": _simulcast,
    "rtpmap": _appending(remembered(values.rtp_map), lambda part: part.rtp_maps),
    "fmtp": _appending(remembered(values.format_parameters), lambda part: part.parameters),
    "rtcp-fb": _appending(remembered(values.feedback), lambda part: part.feedback),
    "rid": _appending(values.rid, lambda part: part.rids),
    "msid": _appending(values.msid, lambda part: part.msids),
    "ssrc": _appending(values.ssrc_attribute, lambda part: part.ssrcs),
    "ssrc-group": _appending(values.ssrc_group, lambda part: part.ssrc_groups),
    "candidate": _appending(values.candidate, lambda part: part.candidates),
}
_section_without_mid = remembered(_new_section, _SECTIONS, _SECTION_CHARACTERS)
