"""Session descriptions of phone calls (RFC 3264): one audio stream, with its codec, keys (RFC 4568) and direction."""

import base64
import ipaddress
import secrets
from dataclasses import dataclass, replace
from enum import Enum

from sfu.formats.sdp import (
    Attribute,
    Direction,
    FormatParameters,
    MediaSection,
    Origin,
    RtpMap,
    SessionDescription,
    parse,
    serialize,
)

FRAME_MS = 20


class PhoneCodec(Enum):
    """The codecs, best first, with their names in session descriptions and sampling rates."""

    OPUS = ("opus", 48_000)
    G722 = ("G722", 16_000)
    PCMA = ("PCMA", 8_000)
    PCMU = ("PCMU", 8_000)

    @property
    def encoding(self) -> str:
        return self.value[0]

    @property
    def rate(self) -> int:
        """The sampling rate of the audio."""
        return self.value[1]

    @property
    def clock(self) -> int:
        """The rate of RTP timestamps; G.722's is half its sampling rate (RFC 3551, section 4.5.2)."""
        return 48_000 if self is PhoneCodec.OPUS else 8_000


_STATIC = {0: PhoneCodec.PCMU, 8: PhoneCodec.PCMA, 9: PhoneCodec.G722}
_OURS = {PhoneCodec.OPUS: 96, PhoneCodec.G722: 9, PhoneCodec.PCMA: 8, PhoneCodec.PCMU: 0}
_EVENTS = {48_000: 97, 8_000: 101}
_SUITES = {"AEAD_AES_256_GCM": 44, "AEAD_AES_128_GCM": 28, "AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30}
"""Suites (RFC 4568, RFC 7714), best first, and the bytes of their key and salt."""
_MAX_BYTES = 8 * 1024


class Unacceptable(Exception):
    """An offer or answer has no audio stream that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """An SDES key: the suite, key and salt, and the tag that offer and answer share."""

    suite: str
    key: bytes
    tag: int = 1

    def __repr__(self) -> str:
        """Return the suite without the key, for logs."""
        return f"Key({self.suite!r})"

    @property
    def line(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


@dataclass(frozen=True, slots=True)
class Stream:
    """An agreed audio stream. `events` is the payload type of keys (RFC 4733); None if the peer does not know it.

    `events_clock` (Hz) is the rate of their durations: the codec's, or 8,000 as many phones offer beside Opus, too.
    `sends` and `receives` are our side: while a call is held, we do not send, or neither side does.
    """

    codec: PhoneCodec
    payload_type: int
    events: int | None
    host: str
    port: int
    sends: bool = True
    receives: bool = True
    theirs: Key | None = None
    ours: Key | None = None
    events_clock: int = 8_000
    position: int = 0
    sections: tuple[tuple[str, str], ...] = (("audio", "RTP/AVP"),)
    """The kind and protocol of each m-section of the offer; an answer repeats them."""


def offer(host: str, port: int, session: int, version: int, *, encrypted: bool) -> tuple[str, Key | None]:
    """Return our offer, with its key if media is to be encrypted."""
    key = Key("AES_CM_128_HMAC_SHA1_80", secrets.token_bytes(30)) if encrypted else None
    maps = [_map(codec, number) for codec, number in _OURS.items()]
    maps += [RtpMap(number, "telephone-event", clock) for clock, number in _EVENTS.items()]
    parameters = [FormatParameters(number, "0-15") for number in _EVENTS.values()]
    parameters.append(FormatParameters(_OURS[PhoneCodec.OPUS], "useinbandfec=1"))
    section = _section(
        host, port, "RTP/SAVP" if key else "RTP/AVP", maps, parameters, key=key, direction=Direction.SENDRECV
    )
    return _described(host, session, version, (section,)), key


def answer(stream: Stream, host: str, port: int, session: int, version: int) -> str:
    """Return our answer, which accepts a stream and refuses all others."""
    maps = [_map(stream.codec, stream.payload_type)]
    parameters = []
    if stream.codec is PhoneCodec.OPUS:
        parameters.append(FormatParameters(stream.payload_type, "useinbandfec=1"))
    if stream.events is not None:
        maps.append(RtpMap(stream.events, "telephone-event", stream.events_clock))
        parameters.append(FormatParameters(stream.events, "0-15"))
    direction = {
        (True, True): Direction.SENDRECV,
        (True, False): Direction.SENDONLY,
        (False, True): Direction.RECVONLY,
        (False, False): Direction.INACTIVE,
    }[stream.sends, stream.receives]
    sections = []
    for index, (kind, protocol) in enumerate(stream.sections):
        if index == stream.position:
            sections.append(_section(host, port, protocol, maps, parameters, key=stream.ours, direction=direction))
        else:
            sections.append(MediaSection(kind, 0, protocol, ("0",)))
    return _described(host, session, version, tuple(sections))


def take_offer(text: str) -> Stream:
    """Return the stream to accept of an offer, with a key of ours if it is encrypted; raises Unacceptable."""
    return _read(text, None)


def take_answer(text: str, ours: Key | None) -> Stream:
    """Return the stream that an answer accepts; `ours` is the key of our offer. Raises Unacceptable."""
    stream = _read(text, ours, is_answer=True)
    if (ours is None) != (stream.theirs is None):
        raise Unacceptable("the answer does not agree with the offer about encryption")
    return stream


def _read(text: str, ours: Key | None, *, is_answer: bool = False) -> Stream:
    if len(text) > _MAX_BYTES:
        raise Unacceptable("the session description is too long")
    try:
        description = parse(text)
    except ValueError as error:
        raise Unacceptable(f"the session description is malformed: {error}") from error
    sections = tuple((section.kind, section.protocol) for section in description.media)
    reasons = []
    for position, section in enumerate(description.media):
        try:
            found = _stream(description, section, ours, is_answer=is_answer)
        except Unacceptable as error:
            reasons.append(str(error))
            continue
        return replace(found, position=position, sections=sections)
    raise Unacceptable("; ".join(dict.fromkeys(reasons)) or "there is no audio")


def _stream(description: SessionDescription, section: MediaSection, ours: Key | None, *, is_answer: bool) -> Stream:
    if section.kind != "audio" or not section.port:
        raise Unacceptable("there is no audio")
    protocol = section.protocol.upper().removesuffix("F")
    if protocol not in {"RTP/AVP", "RTP/SAVP"}:
        raise Unacceptable(f"{section.protocol} is not supported")
    codec, payload_type = _codec(section)
    events, events_clock = _events(section, codec.clock)
    theirs = None
    if protocol == "RTP/SAVP":
        theirs = _key(section)
        if not is_answer:
            ours = Key(theirs.suite, secrets.token_bytes(_SUITES[theirs.suite]), theirs.tag)
        elif ours is None or ours.suite != theirs.suite:
            raise Unacceptable("the answer has another cipher suite than the offer")
    host = _host(section.connection or description.connection or "")
    direction = description.direction_of(section)
    is_held = host in {"0.0.0.0", "::"}  # noqa: S104  the hold of RFC 2543
    return Stream(
        codec,
        payload_type,
        events,
        host,
        section.port,
        sends=direction in (Direction.SENDRECV, Direction.RECVONLY) and not is_held,
        receives=direction in (Direction.SENDRECV, Direction.SENDONLY),
        theirs=theirs,
        ours=ours if theirs is not None else None,
        events_clock=events_clock,
    )


def _codec(section: MediaSection) -> tuple[PhoneCodec, int]:
    """Return the first codec of a section that we know, since the peer lists those that it prefers first."""
    maps = {m.payload_type: m for m in section.rtp_maps}
    for text in section.formats:
        number = int(text) if text.isascii() and text.isdecimal() and int(text) < 128 else -1
        if number in maps:
            name, clock = maps[number].name.lower(), maps[number].clock_rate
            found = next((c for c in PhoneCodec if c.encoding.lower() == name and c.clock == clock), None)
        else:
            found = _STATIC.get(number)
        if found is not None:
            return found, number
    raise Unacceptable("there is no common codec: G.711, G.722 and Opus are supported")


def _events(section: MediaSection, clock: int) -> tuple[int | None, int]:
    """Return the payload type of keys, None without one, and their clock: the codec's if the peer has that."""
    known = {m.clock_rate: m.payload_type for m in section.rtp_maps if m.name.lower() == "telephone-event"}
    agreed = clock if clock in known else 8_000
    return known.get(agreed), agreed


def _key(section: MediaSection) -> Key:
    """Return the peer's key of the best suite; keys with a master key identifier are not supported."""
    found: dict[str, Key] = {}
    for attribute in section.attributes:
        words = (attribute.value or "").split()
        if attribute.name != "crypto" or len(words) != 3 or words[1] not in _SUITES:
            continue
        method, _, rest = words[2].partition(":")
        inline, *further = rest.split("|")
        if method.lower() != "inline" or any(":" in one for one in further) or not words[0].isdecimal():
            continue
        try:
            key = base64.b64decode(inline, validate=True)
        except ValueError:
            continue
        if len(key) == _SUITES[words[1]] and len(words[0]) < 10:
            found.setdefault(words[1], Key(words[1], key, int(words[0])))
    for suite in _SUITES:
        if suite in found:
            return found[suite]
    raise Unacceptable("there is no usable key for SRTP")


def _host(connection: str) -> str:
    words = connection.split()
    try:
        if len(words) != 3 or words[0] != "IN":
            raise ValueError
        return str(ipaddress.ip_address(words[2].partition("/")[0]))
    except ValueError:
        raise Unacceptable("the address of the audio is missing, or not an IP address") from None


def _section(
    host: str,
    port: int,
    protocol: str,
    maps: list[RtpMap],
    parameters: list[FormatParameters],
    *,
    key: Key | None,
    direction: Direction,
) -> MediaSection:
    attributes = [Attribute("ptime", str(FRAME_MS))]
    if key is not None:
        attributes.append(Attribute("crypto", key.line))
    return MediaSection(
        "audio",
        port,
        protocol,
        tuple(str(m.payload_type) for m in maps),
        direction=direction,
        connection=f"IN {'IP6' if ':' in host else 'IP4'} {host}",
        rtp_maps=tuple(maps),
        parameters=tuple(parameters),
        attributes=tuple(attributes),
    )


def _map(codec: PhoneCodec, payload_type: int) -> RtpMap:
    return RtpMap(payload_type, codec.encoding, codec.clock, 2 if codec is PhoneCodec.OPUS else 1)


def _described(host: str, session: int, version: int, sections: tuple[MediaSection, ...]) -> str:
    origin = Origin(session_id=str(session), version=version, address=host)
    return serialize(SessionDescription(origin=origin, name="Parley", media=sections))
