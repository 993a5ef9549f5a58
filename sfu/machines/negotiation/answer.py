"""The frame of an answer (RFC 9429, section 5.3): BUNDLE, transport, m-line order, session id and version.

Publishing and playback decide on each section; this module has everything that sections share. One transport carries a
peer, so sections outside the BUNDLE group are accepted only if they have the same ICE credentials as the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sfu.formats.sdp import (
    Direction,
    ExtensionMap,
    Fingerprint,
    Group,
    MediaSection,
    Origin,
    SessionDescription,
    Setup,
    TransportParameters,
    parse,
    serialize,
)
from sfu.machines.negotiation.agreement import DtlsRole, LocalTransport, Negotiated, NegotiatedMedia, RemoteTransport
from sfu.machines.negotiation.match import payload_lines

_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP", "TCP/DTLS/RTP/SAVPF"})
_HASHES = frozenset({"sha-256", "sha-384", "sha-512"})


@dataclass(frozen=True, slots=True)
class ReadOffer:
    """An offer and the transport that its sections share."""

    description: SessionDescription
    remote: RemoteTransport
    bundle: frozenset[str | None]

    def refusal(self, section: MediaSection) -> str:
        """Return the reason why a section must be rejected whatever its media, or ""."""
        if section.port == 0 and not section.bundle_only:
            return "disabled"
        if section.kind not in ("audio", "video"):
            return "unsupported_media"
        if section.protocol not in _PROTOCOLS:
            return "unsupported_protocol"
        if section.transport.ice_ufrag in (None, self.remote.ufrag) or section.mid in self.bundle:
            return "" if section.rtcp_mux or section.bundle_only else "no_rtcp_mux"
        return "not_bundled"

    def name(self, index: int) -> str:
        """Return the section's mid, or its index if the offer gives none."""
        mid = self.description.media[index].mid
        return str(index) if mid is None else mid


class Answerer:
    """One peer's state across offers. `read` checks an offer; `finish` builds the answer and remembers it."""

    def __init__(self, session_id: int) -> None:
        if not 0 <= session_id < 2**63:
            raise ValueError("session id out of range")
        self._session_id = str(session_id)
        self._version = 0
        self._last: ReadOffer | None = None
        self._refused: frozenset[int] = frozenset()

    def restarts_ice(self, offer: str) -> bool:
        """Return True if the offer's ICE credentials differ from those of the last answered offer."""
        remote = _remote(parse(offer), None)
        return self._last is not None and (remote.ufrag, remote.pwd) != (self._last.remote.ufrag, self._last.remote.pwd)

    def read(self, text: str) -> ReadOffer:
        """Return the parsed offer; raises ValueError if it does not parse, contradicts the last one, or has no
        transport.
        """
        description = parse(text)
        if not description.media:
            raise ValueError("the offer has no m-sections")
        if self._last is None:
            return ReadOffer(description, _remote(description, None), frozenset(description.bundle))
        before = self._last.description.media
        if len(description.media) < len(before):
            raise ValueError("the offer dropped m-sections")
        if any(
            description.media[index].kind != old.kind and old.port and index not in self._refused
            for index, old in enumerate(before)
        ):
            raise ValueError("the offer changed the media of an m-section")
        remote = _remote(description, self._last.remote.role)
        if not set(remote.fingerprints) & set(self._last.remote.fingerprints):
            raise ValueError("the offer changed the certificate")
        return ReadOffer(description, remote, frozenset(description.bundle))

    def finish(
        self, offer: ReadOffer, local: LocalTransport, decided: Sequence[tuple[NegotiatedMedia, MediaSection]]
    ) -> Negotiated:
        """Return the answer from one decision per offered section; rejected ones contain the section that `rejection`
        returns.
        """
        transport = _local_transport(local, offer.remote.role)
        first = next((media.index for media, _ in decided if media.accepted), -1)
        sections = tuple(
            replace(
                section,
                transport=transport if media.accepted else section.transport,
                candidates=local.candidates if media.index == first else (),
                end_of_candidates=media.index == first and bool(local.candidates),
            )
            for media, section in decided
        )
        bundled = tuple(media.mid for media, section in decided if media.accepted and section.mid in offer.bundle)
        self._version += 1
        self._last = offer
        self._refused = frozenset(media.index for media, _ in decided if not media.accepted)
        description = SessionDescription(
            origin=Origin("-", self._session_id, self._version),
            groups=(Group("BUNDLE", bundled),) if bundled else (),
            ice_lite=True,
            extmap_allow_mixed=offer.description.extmap_allow_mixed,
            media=sections,
        )
        return Negotiated(
            sdp=serialize(description),
            description=description,
            media=tuple(media for media, _ in decided),
            remote=offer.remote,
        )


def acceptance(
    section: MediaSection, media: NegotiatedMedia, extensions: tuple[ExtensionMap, ...], ours: Direction
) -> MediaSection:
    """Return the answer's section for an accepted one, without the parts specific to sending or receiving.

    An extension that was offered for one direction is answered for `ours`, its reverse (RFC 8285, section 8).
    """
    theirs = Direction.SENDONLY if ours is Direction.RECVONLY else Direction.RECVONLY
    maps, parameters, feedback = payload_lines(media.payloads)
    return MediaSection(
        kind=section.kind,
        port=9,
        protocol=section.protocol,
        formats=tuple(map(str, media.payloads)),
        mid=section.mid,
        direction=media.direction,
        connection="IN IP4 0.0.0.0",
        rtp_maps=maps,
        parameters=parameters,
        feedback=feedback,
        extensions=tuple(ExtensionMap(e.id, e.uri, ours if e.direction is theirs else None) for e in extensions),
        extmap_allow_mixed=section.extmap_allow_mixed,
        rtcp_mux=True,
        rtcp_rsize=section.rtcp_rsize,
    )


def rejection(
    offer: ReadOffer, index: int, reason: str, direction: Direction = Direction.INACTIVE
) -> tuple[NegotiatedMedia, MediaSection]:
    """Return the decision that rejects a section: port 0 and inactive; its place and mid are kept."""
    section = offer.description.media[index]
    media = NegotiatedMedia(index, offer.name(index), section.kind, direction, refused=reason)
    answer = MediaSection(
        kind=section.kind,
        port=0,
        protocol=section.protocol,
        formats=section.formats or ("0",),
        mid=section.mid,
        direction=Direction.INACTIVE,
        connection="IN IP4 0.0.0.0",
    )
    return media, answer


def allows_mixed(offer: ReadOffer, section: MediaSection) -> bool:
    """Return True if one- and two-byte header extensions may be mixed (RFC 8285, section 6)."""
    return offer.description.extmap_allow_mixed or section.extmap_allow_mixed


def local_role(setup: Setup | None, established: DtlsRole | None) -> DtlsRole:
    """Return our role for the offer's setup; an existing association keeps its roles (RFC 8842, section 5.3)."""
    if setup is Setup.PASSIVE:
        return DtlsRole.CLIENT
    if setup is Setup.ACTPASS and established is not None:
        return established
    return DtlsRole.SERVER


def remote_transport(description: SessionDescription, role: DtlsRole) -> RemoteTransport:
    """Return the transport that the sections share; raises ValueError without credentials or a usable fingerprint."""
    shared = _shared(description)
    session = description.transport
    ufrag, pwd = shared.ice_ufrag or session.ice_ufrag, shared.ice_pwd or session.ice_pwd
    if ufrag is None or pwd is None:
        raise ValueError("no ICE credentials")
    fingerprints = _usable(shared.fingerprints) or _usable(session.fingerprints)
    if not fingerprints:
        raise ValueError("no usable fingerprint")
    return RemoteTransport(ufrag, pwd, fingerprints, role, description.ice_lite)


def remote_setup(description: SessionDescription) -> Setup | None:
    return _shared(description).setup or description.transport.setup


def _remote(description: SessionDescription, established: DtlsRole | None) -> RemoteTransport:
    return remote_transport(description, local_role(remote_setup(description), established))


def _shared(description: SessionDescription) -> TransportParameters:
    """Return the transport attributes of the first section that has any: the tagged one, unless it is disabled."""
    live = [section for section in description.media if section.port or section.bundle_only]
    bundle = frozenset(description.bundle)
    tagged = sorted(live, key=lambda section: section.mid not in bundle)
    found = next((section.transport for section in tagged if section.transport.ice_ufrag), None)
    return found or (tagged[0].transport if tagged else TransportParameters())


def _usable(fingerprints: tuple[Fingerprint, ...]) -> tuple[Fingerprint, ...]:
    return tuple(fingerprint for fingerprint in fingerprints if fingerprint.algorithm in _HASHES)


def _local_transport(local: LocalTransport, role: DtlsRole) -> TransportParameters:
    return TransportParameters(
        ice_ufrag=local.ufrag,
        ice_pwd=local.pwd,
        fingerprints=local.fingerprints,
        setup=Setup.ACTIVE if role is DtlsRole.CLIENT else Setup.PASSIVE,
    )
