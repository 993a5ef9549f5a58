"""The result of offer and answer (RFC 9429), shared by publishing, subscribing, WHIP and WHEP.

Answers to publishers are in `publish`, offers to subscribers in `subscribe`, answers to WHEP
players in `playback`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.sdp import Candidate, Direction, Fingerprint, SessionDescription


class DtlsRole(Enum):
    """Our side of the DTLS association."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our side of a peer, as descriptions announce it."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The remote side of a peer; `role` is our own DTLS role."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    role: DtlsRole
    ice_lite: bool = False


@dataclass(frozen=True, slots=True)
class NegotiatedPayload:
    """A payload type that both sides support. For RTX, `repairs` is the payload type that it repairs (RFC 4588, apt).

    `feedback` holds its agreed rtcp-fb values ("nack", "nack pli", "transport-cc", "goog-remb").
    """

    codec: Codec
    clock_rate: int
    repairs: int | None = None
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    feedback: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OfferedStream:
    """An SSRC in the remote description, with its RTX SSRC (FID) and CNAME if given."""

    ssrc: int
    rtx_ssrc: int | None = None
    cname: str = ""


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """The outcome for one m-section.

    `mid` is the description's or, without one, the section's index. `direction` is ours. `refused` is the reason if the
    section was rejected, else "". `payloads` maps payload types to codecs, `extensions` ids to extensions. `rids` are
    the simulcast streams that the remote sends, in the order of its offer. `streams` are its announced SSRCs.
    """

    index: int
    mid: str
    kind: str
    direction: Direction
    refused: str = ""
    payloads: Mapping[int, NegotiatedPayload] = field(default_factory=dict)
    extensions: Mapping[int, Extension] = field(default_factory=dict)
    rids: tuple[str, ...] = ()
    streams: tuple[OfferedStream, ...] = ()
    msid: str = ""

    @property
    def accepted(self) -> bool:
        return not self.refused


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The outcome of an exchange: our description, the outcome for each section, and the remote side.

    `data` is true if there are data channels.
    """

    sdp: str
    description: SessionDescription
    media: tuple[NegotiatedMedia, ...]
    remote: RemoteTransport
    data: bool = False
