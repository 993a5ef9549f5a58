"""Session descriptions of plain transports, for `ffmpeg -i FILE.sdp`, GStreamer's sdpdemux, or a SIP gateway's offer.

RFC 8866 with RTP/AVPF or RTP/SAVPF; keys follow RFC 4568, rtcp-mux RFC 5761, a separate RTCP port RFC 3605.
"""

from dataclasses import dataclass

from sfu.api.plain_transport import SrtpKey
from sfu.engine.contract import Address
from sfu.formats.sdp import (
    Attribute,
    Direction,
    FormatParameters,
    MediaSection,
    Origin,
    RtpMap,
    SessionDescription,
    SsrcAttribute,
    serialize,
)
from sfu.machines.negotiation.agreement import NegotiatedPayload
from sfu.peers.publish.uptrack import CODEC_NAMES


@dataclass(frozen=True, slots=True)
class Described:
    """One m-section: the stream, its SRTP key, and the address that receives it."""

    kind: str
    payload_type: int
    payload: NegotiatedPayload
    receiver: Address
    rtcp_port: int
    srtp: SrtpKey | None = None
    ssrc: int | None = None
    cname: str = ""
    rtx_payload_type: int | None = None


def describe(sender: str, sections: list[Described]) -> str:
    """Return the description of the media that `sender` (an IP literal) sends."""
    return serialize(
        SessionDescription(origin=Origin(address=sender), name="Parley", media=tuple(map(_section, sections)))
    )


def _section(described: Described) -> MediaSection:
    payload, payload_type = described.payload, described.payload_type
    host, port = described.receiver
    rtpmaps = [RtpMap(payload_type, CODEC_NAMES[payload.codec], payload.clock_rate, payload.channels)]
    fmtp = ";".join(f"{key}={value}" if value else key for key, value in payload.parameters.items())
    formats = [FormatParameters(payload_type, fmtp)] if fmtp else []
    if described.rtx_payload_type is not None:
        rtpmaps.append(RtpMap(described.rtx_payload_type, "rtx", payload.clock_rate))
        formats.append(FormatParameters(described.rtx_payload_type, f"apt={payload_type}"))
    mux = described.rtcp_port == port
    attributes = [] if mux else [Attribute("rtcp", str(described.rtcp_port))]
    if described.srtp is not None:
        attributes.append(Attribute("crypto", f"1 {described.srtp.suite} inline:{described.srtp.key}"))
    ssrc = described.ssrc
    return MediaSection(
        kind=described.kind,
        port=port,
        protocol="RTP/AVPF" if described.srtp is None else "RTP/SAVPF",
        formats=tuple(str(rtpmap.payload_type) for rtpmap in rtpmaps),
        connection=f"IN {'IP6' if ':' in host else 'IP4'} {host}",
        direction=Direction.SENDONLY,
        rtcp_mux=mux,
        rtp_maps=tuple(rtpmaps),
        parameters=tuple(formats),
        ssrcs=() if ssrc is None else (SsrcAttribute(ssrc, "cname", described.cname),),
        attributes=tuple(attributes),
    )
