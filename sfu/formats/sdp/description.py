"""WebRTC session descriptions (RFC 8866, RFC 9429) as immutable values.

Attributes that the sfu uses have fields; others are kept in `attributes`, in order, so that parsing and serializing a
description preserves its meaning.
"""

from dataclasses import dataclass
from enum import Enum


class Direction(Enum):
    """Media direction as the description's author sees it (RFC 8866, section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)


class Setup(Enum):
    """The side that opens the DTLS association (RFC 4145, RFC 8842)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An `a=` line without a field; `value` is None for a flag."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line (RFC 8866, section 5.2)."""

    username: str = "-"
    session_id: str = "0"
    version: int = 0
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RtpMap:
    """A payload type's encoding (RFC 8866, section 6.6). `channels` is 1 if the line gives none."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1


@dataclass(frozen=True, slots=True)
class FormatParameters:
    """An `a=fmtp` line: the text after the payload type, unchanged."""

    payload_type: int
    text: str

    @property
    def values(self) -> dict[str, str]:
        """Return parameters by lower-case name, from `key=value;key=value`; a parameter without "=" has an empty
        value.
        """
        found: dict[str, str] = {}
        for part in self.text.split(";"):
            key, _, value = part.partition("=")
            if key.strip():
                found[key.strip().lower()] = value.strip()
        return found


@dataclass(frozen=True, slots=True)
class Feedback:
    """An `a=rtcp-fb` line (RFC 4585, section 4.2); `payload_type` None stands for "*". `value`: "nack", "nack pli"."""

    payload_type: int | None
    value: str


@dataclass(frozen=True, slots=True)
class ExtensionMap:
    """An `a=extmap` line (RFC 8285, section 8)."""

    id: int
    uri: str
    direction: Direction | None = None
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class Rid:
    """An `a=rid` line (RFC 8851). `sends` is from the author's point of view; `restrictions` is the text after the
    direction.
    """

    id: str
    sends: bool
    restrictions: str = ""


@dataclass(frozen=True, slots=True)
class SimulcastStream:
    """One alternative of a simulcast stream (RFC 8853); `paused` is set by "~"."""

    rid: str
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Simulcast:
    """An `a=simulcast` line (RFC 8853): for each direction, streams in order, each a tuple of alternatives."""

    send: tuple[tuple[SimulcastStream, ...], ...] = ()
    receive: tuple[tuple[SimulcastStream, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SsrcAttribute:
    """An `a=ssrc` line (RFC 5576, section 4.1)."""

    ssrc: int
    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """An `a=ssrc-group` line (RFC 5576, section 4.2): FID pairs media with RTX, SIM names simulcast layers."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Msid:
    """An `a=msid` line (RFC 8830): media stream id ("-" for none) and track id, which may be absent."""

    stream: str
    track: str | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate's hash (RFC 8122): lower-case algorithm ("sha-256"), upper-case hex pairs joined by colons."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ICE candidate (RFC 8839, section 5.1). `type`: host, srflx, prflx, relay. `transport` in lower case."""

    foundation: str
    component: int
    transport: str
    priority: int
    address: str
    port: int
    type: str
    related_address: str | None = None
    related_port: int | None = None
    extensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """An `a=group` line (RFC 5888): BUNDLE and its mids."""

    semantics: str
    mids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TransportParameters:
    """ICE and DTLS attributes, of the session or of one m-section."""

    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    ice_options: str | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None


@dataclass(frozen=True, slots=True)
class MediaSection:
    """An m-section. `formats` are those of the m-line; `direction` None means the session's, or sendrecv by default."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str | None = None
    direction: Direction | None = None
    connection: str | None = None
    transport: TransportParameters = TransportParameters()
    rtp_maps: tuple[RtpMap, ...] = ()
    parameters: tuple[FormatParameters, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    extensions: tuple[ExtensionMap, ...] = ()
    extmap_allow_mixed: bool = False
    rids: tuple[Rid, ...] = ()
    simulcast: Simulcast | None = None
    msids: tuple[Msid, ...] = ()
    ssrcs: tuple[SsrcAttribute, ...] = ()
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    end_of_candidates: bool = False
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    bundle_only: bool = False
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A complete description. `name` is the value of the `s=` line, `connection` that of the `c=` line."""

    origin: Origin = Origin()
    name: str = "-"
    connection: str | None = None
    groups: tuple[Group, ...] = ()
    ice_lite: bool = False
    extmap_allow_mixed: bool = False
    direction: Direction | None = None
    transport: TransportParameters = TransportParameters()
    extensions: tuple[ExtensionMap, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaSection, ...] = ()

    @property
    def bundle(self) -> tuple[str, ...]:
        """The mids of the first BUNDLE group, empty if there is none."""
        return next((group.mids for group in self.groups if group.semantics == "BUNDLE"), ())

    def direction_of(self, section: MediaSection) -> Direction:
        """Return the section's direction, else the session's, else sendrecv (RFC 8866, section 6.7)."""
        return section.direction or self.direction or Direction.SENDRECV
