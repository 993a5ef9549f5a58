"""Offers to a subscriber, whose m-sections are slots. Slots are only ever added, and are pointed at tracks without SDP.

For clients that identify tracks by descriptions, slots are named instead: a slot's msid is that of its track, and an
empty slot is inactive.

Payload types and extension ids are the same for all subscribers of a room, so that routes rewrite little.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from sfu.formats.codecs import Codec
from sfu.formats.extensions import URIS, Extension
from sfu.formats.sdp import (
    Direction,
    ExtensionMap,
    Group,
    MediaSection,
    Msid,
    Origin,
    SessionDescription,
    Setup,
    TransportParameters,
    parse,
    serialize,
)
from sfu.machines.negotiation import data as negotiation_data
from sfu.machines.negotiation.agreement import (
    DtlsRole,
    LocalTransport,
    Negotiated,
    NegotiatedMedia,
    NegotiatedPayload,
    OfferedStream,
)
from sfu.machines.negotiation.answer import remote_setup, remote_transport
from sfu.machines.negotiation.match import extension_ids, match_extensions, match_payloads, payload_lines
from sfu.machines.negotiation.playback import sent_stream_lines

MAX_SLOTS = 150
PAYLOAD_TYPES = {Codec.OPUS: 111, Codec.VP8: 96, Codec.VP9: 98, Codec.H264: 102, Codec.AV1: 45}
RTX_PAYLOAD_TYPES = {Codec.VP8: 97, Codec.VP9: 99, Codec.H264: 103, Codec.AV1: 46}
EXTENSION_IDS = {
    Extension.MID: 1,
    Extension.ABS_SEND_TIME: 2,
    Extension.TRANSPORT_SEQ: 3,
    Extension.AUDIO_LEVEL: 4,
    Extension.RID: 5,
    Extension.REPAIRED_RID: 6,
    Extension.DEPENDENCY_DESCRIPTOR: 7,
    Extension.ABS_CAPTURE_TIME: 8,
    Extension.PLAYOUT_DELAY: 9,
}
_COMMON = (Extension.MID, Extension.ABS_SEND_TIME, Extension.TRANSPORT_SEQ, Extension.ABS_CAPTURE_TIME)
_SENT = {
    "audio": (*_COMMON, Extension.AUDIO_LEVEL),
    "video": (*_COMMON, Extension.DEPENDENCY_DESCRIPTOR, Extension.PLAYOUT_DELAY),
}
_PARAMETERS = {
    Codec.VP9: {"profile-id": "0"},
    Codec.H264: {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": "42e01f"},
    Codec.AV1: {"level-idx": "5", "profile": "0", "tier": "0"},
}


@dataclass(frozen=True, slots=True)
class OfferedSlot:
    """A slot of the subscribe peer: audio slot k and video slot k share msid and CNAME "slot-k".

    `shows` is the msid of the track in a named slot; an empty one is not `active`.
    """

    mid: str
    kind: str
    number: int
    ssrc: int
    rtx_ssrc: int | None = None
    active: bool = True
    shows: Msid | None = None

    @property
    def msid(self) -> str:
        return f"slot-{self.number}"


class SubscribeNegotiation:
    """One subscribe peer's offers and their answers; one offer is in flight at a time."""

    def __init__(self, session_id: int, *, named: bool = False) -> None:
        """`session_id` is a random 62-bit number (RFC 9429, section 5.2.1); `named` selects named slots."""
        if not 0 <= session_id < 2**63:
            raise ValueError("session id out of range")
        self._session_id = str(session_id)
        self._version = 0
        self._slots: list[OfferedSlot] = []
        self._data_at: int | None = None
        self._offered = 0
        self._named = named
        self._renamed = False
        self._in_flight: SessionDescription | None = None
        self._in_flight_text = ""
        self._sections: dict[str, tuple[OfferedSlot, LocalTransport, MediaSection]] = {}

    @property
    def slots(self) -> tuple[OfferedSlot, ...]:
        """All slots in m-line order."""
        return tuple(self._slots)

    @property
    def changed(self) -> bool:
        """True if there are slots, or names of slots, that no offer has contained yet."""
        return self._renamed or len(self._slots) > self._offered

    def add_slot(self, kind: str, ssrc: int, rtx_ssrc: int | None = None) -> OfferedSlot:
        """Add an "audio" or "video" slot to the next offer; its mid is its number among the slots, as text.

        Raises ValueError for another kind, for an SSRC that is in use, and beyond MAX_SLOTS.
        """
        if kind not in _SENT:
            raise ValueError("a slot must be audio or video")
        if len(self._slots) == MAX_SLOTS:
            raise ValueError("too many slots")
        self._check_free(ssrc, rtx_ssrc)
        number = sum(slot.kind == kind for slot in self._slots)
        slot = OfferedSlot(str(len(self._slots)), kind, number, ssrc, rtx_ssrc, active=not self._named)
        self._slots.append(slot)
        return slot

    def _check_free(self, ssrc: int, rtx_ssrc: int | None) -> None:
        taken = {used for slot in self._slots for used in (slot.ssrc, slot.rtx_ssrc)}
        if ssrc in taken or ssrc == rtx_ssrc or (rtx_ssrc is not None and rtx_ssrc in taken):
            raise ValueError("the SSRC is in use")

    def renew_slot(self, mid: str, ssrc: int, rtx_ssrc: int | None = None) -> OfferedSlot:
        """Give a slot new SSRCs in the next offer, so that its receiver sees a new stream."""
        self._check_free(ssrc, rtx_ssrc)
        slot = self._slots[int(mid)] = replace(self._slots[int(mid)], ssrc=ssrc, rtx_ssrc=rtx_ssrc)
        return slot

    def name(self, mid: str, shows: Msid | None) -> None:
        """Name the track in a slot, or none, in the next offer."""
        number = int(mid)
        slot = self._slots[number]
        if slot.shows != shows:
            self._slots[number] = replace(slot, shows=shows, active=shows is not None)
            self._renamed = True

    def add_data(self) -> None:
        """Offer data channels too, after the existing slots. Must be called before the first offer."""
        self._data_at = len(self._slots)

    def offer(self, local: LocalTransport) -> str:
        """Return an offer of all slots, with a version one higher than the last one's.

        Raises ValueError while an offer is in flight, and without slots.
        """
        if self._in_flight is not None:
            raise ValueError("an offer is in flight")
        if not self._slots and self._data_at is None:
            raise ValueError("no slots to offer")
        self._version += 1
        self._offered = len(self._slots)
        self._renamed = False
        media = [self._section(slot, local) for slot in self._slots]
        if self._data_at is not None:
            media.insert(self._data_at, negotiation_data.section(local))
        media[0] = replace(media[0], candidates=local.candidates, end_of_candidates=bool(local.candidates))
        self._in_flight = SessionDescription(
            origin=Origin("-", self._session_id, self._version),
            groups=(Group("BUNDLE", tuple(section.mid or "" for section in media)),),
            ice_lite=True,
            extmap_allow_mixed=True,
            media=tuple(media),
        )
        self._in_flight_text = serialize(self._in_flight)
        return self._in_flight_text

    def _section(self, slot: OfferedSlot, local: LocalTransport) -> MediaSection:
        """Return a slot's section; most are as in the offer before."""
        offered = self._sections.get(slot.mid)
        if offered is None or offered[0] is not slot or offered[1] != local:
            offered = self._sections[slot.mid] = slot, local, _section(slot, local)
        return offered[2]

    def abandon(self) -> None:
        """Drop the offer in flight, for example when its peer is replaced."""
        self._in_flight = None

    def apply(self, answer: str) -> Negotiated:
        """Apply the answer to the offer in flight: return the accepted payload types and extensions by mid.

        Raises ValueError if it does not parse or does not fit the offer, which then stays in flight.
        """
        offer = self._in_flight
        if offer is None:
            raise ValueError("no offer is in flight")
        description = parse(answer)
        if len(description.media) != len(offer.media):
            raise ValueError("the answer has a different number of m-sections")
        setup = remote_setup(description)
        if setup is Setup.ACTPASS:
            raise ValueError("an answer must choose active or passive")
        role = DtlsRole.CLIENT if setup is Setup.PASSIVE else DtlsRole.SERVER
        data_at = self._offered if self._data_at is None else self._data_at
        matcher = _Matcher()
        media = tuple(
            _outcome(description, number + (number >= data_at), slot, matcher)
            for number, slot in enumerate(self._slots[: self._offered])
        )
        data = self._data_at is not None and negotiation_data.accepts(description.media[self._data_at])
        negotiated = Negotiated(self._in_flight_text, offer, media, remote_transport(description, role), data)
        self._in_flight = None
        return negotiated


def _section(slot: OfferedSlot, local: LocalTransport) -> MediaSection:
    msids, ssrcs, groups = sent_stream_lines(slot.msid, slot.kind, slot.ssrc, slot.rtx_ssrc)
    if slot.shows is not None:
        msids = (slot.shows,)
    elif not slot.active:
        msids = ssrcs = groups = ()
    return replace(
        _plain_section(slot.kind, slot.rtx_ssrc is not None),
        mid=slot.mid,
        direction=Direction.SENDONLY if slot.active else Direction.INACTIVE,
        transport=TransportParameters(local.ufrag, local.pwd, None, local.fingerprints, Setup.ACTPASS),
        msids=msids,
        ssrcs=ssrcs,
        ssrc_groups=groups,
    )


@cache
def _plain_section(kind: str, is_repaired: bool) -> MediaSection:
    """Return what the sections of all slots of a kind share, with or without retransmission."""
    payloads = _payloads(kind, is_repaired)
    maps, parameters, feedback = payload_lines(payloads)
    return MediaSection(
        kind=kind,
        port=9,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=tuple(map(str, payloads)),
        connection="IN IP4 0.0.0.0",
        rtp_maps=maps,
        parameters=parameters,
        feedback=feedback,
        extensions=tuple(ExtensionMap(EXTENSION_IDS[extension], URIS[extension]) for extension in sorted(_SENT[kind])),
        rtcp_mux=True,
        rtcp_rsize=True,
    )


@cache
def _payloads(kind: str, is_repaired: bool) -> Mapping[int, NegotiatedPayload]:
    """Return the payload types of slots; goog-remb is offered besides transport-cc, for browsers that support only
    that.
    """
    if kind == "audio":
        opus = NegotiatedPayload(Codec.OPUS, 48000, channels=2, feedback=frozenset({"transport-cc", "nack"}))
        return MappingProxyType({PAYLOAD_TYPES[Codec.OPUS]: opus})
    payloads: dict[int, NegotiatedPayload] = {}
    for codec in (Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1):
        number = PAYLOAD_TYPES[codec]
        payloads[number] = NegotiatedPayload(
            codec,
            90000,
            parameters=_PARAMETERS.get(codec, {}),
            feedback=frozenset({"transport-cc", "goog-remb", "nack", "nack pli"}),
        )
        if is_repaired:
            payloads[RTX_PAYLOAD_TYPES[codec]] = NegotiatedPayload(Codec.RTX, 90000, repairs=number)
    return MappingProxyType(payloads)


class _Match(NamedTuple):
    """The part of an offered section that an answer accepts."""

    payloads: Mapping[int, NegotiatedPayload]
    extensions: Mapping[int, Extension]


class _Matcher:
    """Matches sections of one answer. Those of a kind are mostly alike, and an answer may have a hundred."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bool], tuple[object, _Match]] = {}

    def match(self, section: MediaSection, *, is_repaired: bool) -> _Match:
        """Return what a section accepts."""
        key = section.kind, is_repaired
        matters = (
            section.formats,
            section.rtp_maps,
            section.parameters,
            section.feedback,
            section.extensions,
        )
        before = self._found.get(key)
        if before is not None and before[0] == matters:
            return before[1]
        match = _match(section, is_repaired=is_repaired)
        self._found[key] = matters, match
        return match


def _match(section: MediaSection, *, is_repaired: bool) -> _Match:
    offered = _payloads(section.kind, is_repaired)
    payloads = {
        number: payload
        for number, payload in match_payloads(section, frozenset(Codec)).items()
        if number in offered and offered[number].codec == payload.codec
    }
    ids = extension_ids(match_extensions(section, _SENT[section.kind], Direction.RECVONLY, allow_mixed=False))
    return _Match(
        MappingProxyType(payloads),
        MappingProxyType(
            {number: extension for number, extension in ids.items() if EXTENSION_IDS[extension] == number}
        ),
    )


def _outcome(answer: SessionDescription, index: int, slot: OfferedSlot, matcher: _Matcher) -> NegotiatedMedia:
    section = answer.media[index]
    if section.kind != slot.kind or section.mid not in (None, slot.mid):
        raise ValueError("the answer's m-sections do not match the offer's")
    direction = answer.direction_of(section)
    match = matcher.match(section, is_repaired=slot.rtx_ssrc is not None)
    refused = ""
    if section.port == 0:
        refused = "rejected_by_remote"
    elif not match.payloads:
        refused = "no_codec"
    return NegotiatedMedia(
        index=index,
        mid=slot.mid,
        kind=slot.kind,
        direction=Direction.SENDONLY if direction.receives and not refused else Direction.INACTIVE,
        refused=refused,
        payloads={} if refused else match.payloads,
        extensions=match.extensions,
        streams=(OfferedStream(slot.ssrc, slot.rtx_ssrc, slot.msid),),
        msid=slot.msid,
    )
