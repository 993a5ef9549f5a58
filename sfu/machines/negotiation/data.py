"""The m-section of data channels (RFC 8841): ours beside a subscribe peer's slots, or in an answer to a publisher."""

from sfu.formats.data_message import MAX_MESSAGE_BYTES
from sfu.formats.sdp import Attribute, MediaSection, Setup, TransportParameters
from sfu.machines.negotiation.agreement import LocalTransport

MID = "data"
SCTP_PORT = 5000
_PROTOCOLS = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")


def section(local: LocalTransport) -> MediaSection:
    """Return the section of an offer."""
    return MediaSection(
        kind="application",
        port=9,
        protocol=_PROTOCOLS[0],
        formats=("webrtc-datachannel",),
        mid=MID,
        connection="IN IP4 0.0.0.0",
        transport=TransportParameters(local.ufrag, local.pwd, None, local.fingerprints, Setup.ACTPASS),
        attributes=(
            Attribute("sctp-port", str(SCTP_PORT)),
            Attribute("max-message-size", str(MAX_MESSAGE_BYTES)),
        ),
    )


def acceptance(offered: MediaSection) -> MediaSection:
    """Return the answer to a publisher's section, without its transport."""
    return MediaSection(
        kind=offered.kind,
        port=9,
        protocol=offered.protocol,
        formats=offered.formats,
        mid=offered.mid,
        connection="IN IP4 0.0.0.0",
        attributes=(
            Attribute("sctp-port", str(SCTP_PORT)),
            Attribute("max-message-size", str(MAX_MESSAGE_BYTES)),
        ),
    )


def is_usable(offered: MediaSection) -> bool:
    """Return True if an offer's section is for data channels and can be accepted."""
    return offered.kind == "application" and (offered.port != 0 or offered.bundle_only) and _is_spoken(offered)


def _is_spoken(section: MediaSection) -> bool:
    known = {entry.name: entry.value for entry in section.attributes}
    return section.protocol in _PROTOCOLS and known.get("sctp-port", str(SCTP_PORT)) == str(SCTP_PORT)


def accepts(answer: MediaSection) -> bool:
    """Return True if the answer's section accepts data channels; raises ValueError if it does not match the offer's."""
    if answer.kind != "application" or answer.mid not in (None, MID):
        raise ValueError("the answer's m-sections do not match the offer's")
    return answer.port != 0 and _is_spoken(answer)
