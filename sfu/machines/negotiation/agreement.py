"""The agreement of offer and answer (RFC 9429), shared by publishing, subscribing, WHIP and WHEP.

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
    """The remote side of a peer; `role` is the DTLS role that falls to us."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    role: DtlsRole
    ice_lite: bool = False


@dataclass(frozen=True, slots=True)
class NegotiatedPayload:
    """A payload type both sides speak. RTX names the payload type it repairs in `repairs` (RFC 4588, apt).

    `feedback` holds rtcp-fb values ("nack", "nack pli", "transport-cc", "goog-remb") agreed for it.
    """

    codec: Codec
    clock_rate: int
    repairs: int | None = None
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    feedback: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OfferedStream:
    """An SSRC that the remote description names, with its RTX SSRC (FID) and CNAME when given."""

    ssrc: int
    rtx_ssrc: int | None = None
    cname: str = ""


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """The outcome for one m-section.

    `mid` is the description's or, without one, the section's index. `direction` is ours. `refused` is the reason of a
    rejected section ("" when accepted). `payloads` maps payload type to codec, `extensions` ids to extensions. `rids`
    are simulcast streams that the remote sends, in the order of its offer. `streams` are SSRCs it announced.
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
    """The outcome of an exchange: the local description made (answers) or applied, per section, and the remote side.

    `data` tells whether there are data channels.
    """

    sdp: str
    description: SessionDescription
    media: tuple[NegotiatedMedia, ...]
    remote: RemoteTransport
    data: bool = False
