"""The client's session descriptions: publish offers and subscribe answers (RFC 9429), built from values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sfu.formats.codecs import Codec
from sfu.formats.extensions import URIS, Extension
from sfu.formats.sdp import (
    Attribute,
    Direction,
    ExtensionMap,
    Feedback,
    FormatParameters,
    Group,
    MediaSection,
    Msid,
    Origin,
    RtpMap,
    SessionDescription,
    Setup,
    SsrcAttribute,
    SsrcGroup,
    TransportParameters,
    serialize,
)
from sfu.machines.ice.lite import Address
from sfu.machines.negotiation.agreement import DtlsRole, LocalTransport, RemoteTransport

ENCODINGS = {
    Codec.OPUS: ("opus", 48000, 2, "minptime=10;useinbandfec=1"),
    Codec.VP8: ("VP8", 90000, 1, ""),
    Codec.VP9: ("VP9", 90000, 1, "profile-id=0"),
    Codec.H264: ("H264", 90000, 1, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    Codec.AV1: ("AV1", 90000, 1, ""),
}
PAYLOAD_TYPES = {Codec.OPUS: 111, Codec.VP8: 96, Codec.VP9: 98, Codec.H264: 102, Codec.AV1: 45}
RTX_PAYLOAD_TYPES = {Codec.VP8: 97, Codec.VP9: 99, Codec.H264: 103, Codec.AV1: 46}
PUBLISH_EXTENSIONS = {
    1: Extension.MID,
    3: Extension.TRANSPORT_SEQ,
    4: Extension.AUDIO_LEVEL,
}


@dataclass(frozen=True, slots=True)
class OfferedTrack:
    """An m-section of a publish offer."""

    mid: str
    codec: Codec
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    active: bool = True


def publish_offer(local: LocalTransport, tracks: Sequence[OfferedTrack], version: int) -> str:
    """Return the offer of a publish peer that sends these tracks; m-sections keep their order in later offers."""
    return serialize(
        SessionDescription(
            origin=Origin(session_id="1", version=version),
            groups=(Group("BUNDLE", tuple(t.mid for t in tracks)),),
            media=tuple(_sending_section(local, track) for track in tracks),
        )
    )


def subscribe_answer(
    offer: SessionDescription, local: LocalTransport, codecs: frozenset[Codec], *, data: bool = False
) -> str:
    """Return the answer that accepts every m-section with the payload types of these codecs, and any data channels."""
    names = {ENCODINGS[codec][0].lower() for codec in codecs if codec in ENCODINGS} | {"rtx"}
    return serialize(
        replace(
            offer,
            origin=Origin(session_id="2", version=offer.origin.version),
            attributes=tuple(a for a in offer.attributes if a.name != "ice-lite"),
            transport=TransportParameters(),
            media=tuple(
                _data_section(section, local, data)
                if section.kind == "application"
                else _receiving_section(section, local, names)
                for section in offer.media
            ),
        )
    )


def remote_side(description: SessionDescription, server: str) -> tuple[RemoteTransport, list[Address]]:
    """Return the server's side of a description and its UDP candidates, best first.

    For a server at localhost, only loopback candidates are returned if there are any: nothing leaves the machine.
    """
    section = description.media[0]
    transport = section.transport
    remote = RemoteTransport(
        transport.ice_ufrag or description.transport.ice_ufrag or "",
        transport.ice_pwd or description.transport.ice_pwd or "",
        transport.fingerprints or description.transport.fingerprints,
        DtlsRole.CLIENT,
        ice_lite=True,
    )
    usable = sorted((c for c in section.candidates if c.transport == "udp"), key=lambda c: -c.priority)
    if server in ("localhost", "127.0.0.1", "::1"):
        usable = [c for c in usable if c.address == "::1" or c.address.startswith("127.")] or usable
    return remote, [(c.address, c.port) for c in usable]


def _sending_section(local: LocalTransport, track: OfferedTrack) -> MediaSection:
    name, rate, channels, parameters = ENCODINGS[track.codec]
    payload_type = PAYLOAD_TYPES[track.codec]
    rtx = RTX_PAYLOAD_TYPES.get(track.codec) if track.rtx_ssrc is not None else None
    maps = [RtpMap(payload_type, name, rate, channels)]
    formats = [FormatParameters(payload_type, parameters)] if parameters else []
    if rtx is not None:
        maps.append(RtpMap(rtx, "rtx", rate))
        formats.append(FormatParameters(rtx, f"apt={payload_type}"))
    ssrcs = [track.ssrc] + ([track.rtx_ssrc] if track.rtx_ssrc is not None else [])
    return MediaSection(
        kind="audio" if track.codec.is_audio else "video",
        port=9,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=tuple(str(m.payload_type) for m in maps),
        mid=track.mid,
        direction=Direction.SENDONLY if track.active else Direction.INACTIVE,
        connection="IN IP4 0.0.0.0",
        transport=_transport(local, Setup.ACTPASS),
        rtp_maps=tuple(maps),
        parameters=tuple(formats),
        feedback=tuple(Feedback(payload_type, value) for value in _feedback(track.codec)),
        extensions=tuple(ExtensionMap(id_, URIS[extension]) for id_, extension in _extensions(track.codec).items()),
        msids=(Msid(track.cname, f"track-{track.mid}"),),
        ssrcs=tuple(SsrcAttribute(ssrc, "cname", track.cname) for ssrc in ssrcs),
        ssrc_groups=(SsrcGroup("FID", tuple(ssrcs)),) if len(ssrcs) == 2 else (),
        rtcp_mux=True,
        rtcp_rsize=True,
    )


def _feedback(codec: Codec) -> tuple[str, ...]:
    return ("transport-cc", "nack") if codec.is_audio else ("transport-cc", "nack", "nack pli")


def _extensions(codec: Codec) -> Mapping[int, Extension]:
    return {i: e for i, e in PUBLISH_EXTENSIONS.items() if codec.is_audio or e is not Extension.AUDIO_LEVEL}


def _receiving_section(section: MediaSection, local: LocalTransport, names: set[str]) -> MediaSection:
    kept = {m.payload_type for m in section.rtp_maps if m.name.lower() in names}
    kept -= {p.payload_type for p in section.parameters if "apt" in p.values and int(p.values["apt"]) not in kept}
    return replace(
        section,
        formats=tuple(f for f in section.formats if int(f) in kept),
        direction=Direction.RECVONLY if section.direction is Direction.SENDONLY else Direction.INACTIVE,
        transport=_transport(local, Setup.ACTIVE),
        rtp_maps=tuple(m for m in section.rtp_maps if m.payload_type in kept),
        parameters=tuple(p for p in section.parameters if p.payload_type in kept),
        feedback=tuple(f for f in section.feedback if f.payload_type is None or f.payload_type in kept),
        msids=(),
        ssrcs=(),
        ssrc_groups=(),
        candidates=(),
        end_of_candidates=False,
        attributes=tuple(a for a in section.attributes if not _is_transport(a)),
    )


def _data_section(section: MediaSection, local: LocalTransport, taken: bool) -> MediaSection:
    return replace(section, port=9 if taken else 0, transport=_transport(local, Setup.ACTIVE))


def _is_transport(attribute: Attribute) -> bool:
    return attribute.name in {"ice-options", "ice-lite"}


def _transport(local: LocalTransport, setup: Setup) -> TransportParameters:
    return TransportParameters(local.ufrag, local.pwd, None, local.fingerprints, setup)
