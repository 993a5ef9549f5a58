"""The publish peer of browsers and WHIP: turns offers into uptracks, by m-section."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfu.api.join_token import Grants, Source
from sfu.engine.contract import PeerEntry
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.negotiation.agreement import DtlsRole, Negotiated, NegotiatedMedia
from sfu.machines.negotiation.playback import PlaybackStream
from sfu.machines.negotiation.publish import PublishNegotiation, PublishPolicy
from sfu.peers.context import Context, random_id
from sfu.peers.data_channels import DataItem, Labels
from sfu.peers.data_port import DataPort
from sfu.peers.layers.layer_options import ONE_LAYER, Layer, layers_of
from sfu.peers.peer import Peer
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import About, UpTrack, main_payload


@dataclass(frozen=True, slots=True)
class Declared:
    """The content of an m-section, as declared by the client; see `signaling_values.OfferedTrack`."""

    source: Source
    muted: bool = False
    codec: Codec | None = None
    backup_of: str = ""
    scalability: str = ""
    track: str = ""
    name: str = ""
    width: int = 0
    height: int = 0
    sealed: bool = False
    continuous: bool = False

    @property
    def may_pause(self) -> bool:
        """True if nothing need be sent while it is silent."""
        return self.source is Source.MICROPHONE and not self.continuous


@dataclass(frozen=True, slots=True)
class PublishChange:
    """The result of an offer: the answer, and the uptracks that were added, kept and removed, by mid."""

    answer: Negotiated
    added: tuple[UpTrack, ...]
    removed: tuple[UpTrack, ...]


class NegotiatedPublishPeer(PublishPeer):
    """A publish peer with ICE and DTLS."""

    peer: Peer

    def __init__(self, context: Context, participant: str, now: int) -> None:
        peer = context.peer(now)
        super().__init__(context, participant, peer, now)
        self.data: DataPort | None = None
        self._negotiation = PublishNegotiation(secrets.randbits(62))

    def open_data(self, labels: Labels) -> None:
        """Accept data channels that the client opens under these labels."""
        self.data = DataPort(self.peer, self._context.counters, labels)

    def connected(self, now: int) -> None:
        """DTLS is done."""
        if self.data is not None:
            self.data.connect(now)

    def take_data(self, now: int) -> list[DataItem]:
        """Return the messages that have arrived over data channels."""
        return [] if self.data is None else self.data.take(now)

    def hold_data(self, messages: Sequence[DataItem], now: int) -> int:
        """Have `take_data` return messages again later; return the number dropped for lack of room."""
        return len(messages) if self.data is None else self.data.hold(messages, now)

    def release_data(self) -> list[DataItem]:
        """Return the messages that were held, whether or not they are due."""
        return [] if self.data is None else self.data.release()

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next."""
        times = (super().timer(), self.data.timer() if self.data is not None else None)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Do what is due, including for data channels."""
        super().handle_timer(now)
        if self.data is not None:
            self.data.handle_timer(now)

    def offer(
        self, sdp: str, declared: Mapping[str, Declared], grants: Grants, now: int, *, red: bool = True
    ) -> PublishChange:
        """Take a client's offer; raises ValueError, without any change, if it cannot be answered.

        Without `red`, RED is refused: with end-to-end encryption nobody could unwrap it.
        """
        return self._offer(sdp, declared, grants, None, now, red=red)

    def _offer(
        self,
        sdp: str,
        declared: Mapping[str, Declared],
        grants: Grants,
        shows: Mapping[str, PlaybackStream] | None,
        now: int,
        *,
        red: bool,
    ) -> PublishChange:
        if self._negotiation.restarts_ice(sdp):
            self.peer.restart_ice()
        chosen = {mid: said.codec for mid, said in declared.items() if said.codec is not None}
        codecs = frozenset(Codec) if red else frozenset(Codec) - {Codec.RED}
        pausing = frozenset(mid for mid, said in declared.items() if said.may_pause)
        policy = PublishPolicy(codecs=codecs, by_mid=chosen, data=self.data is not None, shows=shows, pausing=pausing)
        answer = self._negotiation.answer(sdp, self.peer.local(self._context.candidates), policy)
        self.peer.set_remote(answer.remote, now)
        if self.data is not None and answer.data:
            self.data.agree(True, now, dtls_client=answer.remote.role is DtlsRole.CLIENT)
        extensions = {number: ext for media in answer.media for number, ext in media.extensions.items()}
        sent = {
            ext: number for media in answer.media if not _receives(media) for number, ext in media.extensions.items()
        }
        entry = PeerEntry(self.peer.number, extensions, sent if shows is not None else {})
        self._context.engine.set_peer(entry)
        self._share.takes_limits |= _has_feedback(answer.media, "goog-remb")
        if not self._acknowledges and _has_feedback(answer.media, "transport-cc"):
            self._acknowledges = True
            self._context.engine.acknowledge(self.peer.number, self._ssrc)
        removed = self._drop_stale(answer.media, declared)
        added = self._add_new(answer.media, declared, grants)
        self._registry.set_media(answer.media, self.uptracks)
        return PublishChange(answer, added, removed)

    def _drop_stale(self, media: Sequence[NegotiatedMedia], declared: Mapping[str, Declared]) -> tuple[UpTrack, ...]:
        sending = {section.mid: section for section in media if _receives(section)}
        stale = [
            mid
            for mid, uptrack in self.uptracks.items()
            if mid not in sending or (mid in declared and not _same(uptrack, declared[mid], sending[mid]))
        ]
        removed = tuple(self.uptracks.pop(mid) for mid in stale)
        for uptrack in removed:
            self._registry.forget(uptrack)
        return removed

    def _add_new(
        self, media: Sequence[NegotiatedMedia], declared: Mapping[str, Declared], grants: Grants
    ) -> tuple[UpTrack, ...]:
        added = []
        for section in media:
            if not _receives(section):
                continue
            if section.mid in self.uptracks:
                self.uptracks[section.mid].media = section
                continue
            if declared and section.mid not in declared:
                continue  # its track has been unpublished, or is not announced yet
            said = declared.get(section.mid)
            source = _source(section.kind, said)
            chosen = said.track if said is not None else ""
            uptrack = UpTrack(chosen or random_id("t"), self.participant, source, section)
            if said is not None:
                uptrack.about = About(said.name, said.width, said.height, said.sealed)
                uptrack.muted = said.muted
                uptrack.backup_of = said.backup_of
                uptrack.layers = _layers(uptrack, said.scalability)
            uptrack.permitted = source in grants.publish
            uptrack.muted_by_host = grants.mutes(source)
            self.uptracks[section.mid] = uptrack
            added.append(uptrack)
        return tuple(added)


def _layers(uptrack: UpTrack, scalability: str) -> Layer:
    """Return the number of distinguishable layers; those of AV1 need the dependency descriptor."""
    if uptrack.codec is Codec.AV1 and Extension.DEPENDENCY_DESCRIPTOR not in uptrack.media.extensions.values():
        return ONE_LAYER
    return layers_of(uptrack.codec, scalability)


def _source(kind: str, said: Declared | None) -> Source:
    """Return a section's source: the declared one if it is of the same kind, else the microphone or camera."""
    is_audio = kind == "audio"
    if said is not None and said.source.is_audio == is_audio:
        return said.source
    return Source.MICROPHONE if is_audio else Source.CAMERA


def _same(uptrack: UpTrack, said: Declared, section: NegotiatedMedia) -> bool:
    """Return True if a section still carries the uptrack."""
    return (
        _source(uptrack.media.kind, said) == uptrack.source
        and said.backup_of == uptrack.backup_of
        and main_payload(section)[1].codec == uptrack.codec
    )


def _receives(section: NegotiatedMedia) -> bool:
    return section.accepted and section.direction.receives


def _has_feedback(media: Sequence[NegotiatedMedia], kind: str) -> bool:
    return any(kind in payload.feedback for section in media for payload in section.payloads.values())
