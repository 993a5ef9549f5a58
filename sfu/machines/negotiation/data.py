"""The m-section of data channels (RFC 8841), offered beside a subscribe peer's slots."""

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


def accepts(answer: MediaSection) -> bool:
    """Return True if the answer's section takes data channels; ValueError when it is not the offer's section."""
    if answer.kind != "application" or answer.mid not in (None, MID):
        raise ValueError("the answer's m-sections are not the offer's")
    known = {entry.name: entry.value for entry in answer.attributes}
    same_port = known.get("sctp-port", str(SCTP_PORT)) == str(SCTP_PORT)
    return answer.port != 0 and answer.protocol in _PROTOCOLS and same_port
