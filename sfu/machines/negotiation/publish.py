"""Answers to a publisher's offers, from browsers and WHIP (RFC 9725)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.sdp import (
    Direction,
    ExtensionMap,
    MediaSection,
    Rid,
    SessionDescription,
    Simulcast,
    SimulcastStream,
)
from sfu.machines.negotiation import data as negotiation_data
from sfu.machines.negotiation import playback
from sfu.machines.negotiation.agreement import LocalTransport, Negotiated, NegotiatedMedia, NegotiatedPayload
from sfu.machines.negotiation.answer import Answerer, ReadOffer, acceptance, allows_mixed, rejection
from sfu.machines.negotiation.match import (
    extension_ids,
    match_extensions,
    match_payloads,
    offered_rids,
    offered_streams,
)
from sfu.machines.negotiation.playback import PlaybackStream

# video-orientation (urn:3gpp:video-orientation) is left out on purpose: without it the browser rotates the pixels, and
# recordings, which are never decoded, are upright. video-layers-allocation is not needed: layers and their costs are
# read from the packets of every publisher alike. The dependency descriptor is for AV1 only, whose layers cannot be read
# otherwise. For other codecs Chromium would then use the descriptor's frame numbers, and a VP9 viewer that is switched
# between streams would at times wait for seconds.
_EXTENSIONS = frozenset(Extension)
_DATA = "application"


@dataclass(frozen=True, slots=True)
class PublishPolicy:
    """Limits on what a publisher may send. Sections beyond a maximum, or without any of `codecs`, are rejected.

    `preferred`, or a section's codec in `by_mid`, is put first if it was offered: browsers send the first codec of an
    answer. RED in `by_mid` gets no transport-wide feedback. With `data` one section of data channels is accepted. The
    sound of the mids in `pausing` may pause while it is silent (DTX).

    `shows` holds, by mid, the streams sent on sections where the client only receives; the others of these are
    inactive.
    """

    max_audio: int = 4
    max_video: int = 4
    codecs: frozenset[Codec] = frozenset(Codec)
    preferred: Codec | None = Codec.VP8
    by_mid: Mapping[str, Codec] = field(default_factory=dict)
    data: bool = False
    shows: Mapping[str, PlaybackStream] | None = None
    pausing: frozenset[str] = frozenset()


class PublishNegotiation:
    """The offers and answers of one publish peer: keeps session id, version and m-line order across re-offers."""

    def __init__(self, session_id: int) -> None:
        """`session_id` is a random 62-bit number (RFC 9429, section 5.2.1)."""
        self._answerer = Answerer(session_id)

    def restarts_ice(self, offer: str) -> bool:
        """Return True if a later offer has new ICE credentials, so `answer` needs new ones too (RFC 8839, section
        4.4.1.1).

        Raises ValueError if it does not parse.
        """
        return self._answerer.restarts_ice(offer)

    def answer(self, offer: str, local: LocalTransport, policy: PublishPolicy) -> Negotiated:
        """Return the answer; raises ValueError if the offer does not parse or cannot be answered.

        Such an offer leaves the negotiation unchanged.
        """
        read = self._answerer.read(offer)
        room = {"audio": policy.max_audio, "video": policy.max_video, _DATA: int(policy.data)}
        decided: list[tuple[NegotiatedMedia, MediaSection]] = []
        for index in range(len(read.description.media)):
            decision = _decide(read, index, policy, room)
            if decision[0].accepted and (decision[0].direction.receives or decision[0].kind == _DATA):
                room[decision[0].kind] -= 1
            decided.append(decision)
        has_data = any(media.kind == _DATA and media.accepted for media, _ in decided)
        return replace(self._answerer.finish(read, local, decided), data=has_data)


def _decide(
    offer: ReadOffer, index: int, policy: PublishPolicy, room: dict[str, int]
) -> tuple[NegotiatedMedia, MediaSection]:
    section = offer.description.media[index]
    if policy.shows is not None and only_receives(offer.description, section):
        # Browsers offer simulcast only if the RID extensions are also agreed on for the other sections.
        return playback.decide(offer, index, policy.shows.get(offer.name(index)), policy.codecs, _EXTENSIONS)
    if room[_DATA] > 0 and negotiation_data.is_usable(section):
        media = NegotiatedMedia(index, offer.name(index), section.kind, Direction.INACTIVE)
        return media, negotiation_data.acceptance(section)
    reason = offer.refusal(section)
    if reason:
        return rejection(offer, index, reason)
    sends = offer.description.direction_of(section).sends
    if sends and room[section.kind] <= 0:
        return rejection(offer, index, "too_many_tracks")
    payloads = match_payloads(section, policy.codecs)
    if not payloads:
        return rejection(offer, index, "no_codec")
    chosen = policy.by_mid.get(offer.name(index))
    payloads = _preferred_first(payloads, chosen or policy.preferred)
    mixed = allows_mixed(offer, section)
    sent = next(iter(payloads.values())).codec
    wanted = _EXTENSIONS if sent is Codec.AV1 else _EXTENSIONS - {Extension.DEPENDENCY_DESCRIPTOR}
    if sent is Codec.RED and chosen is Codec.RED:
        # Chromium would reserve the rate of Opus alone for it, half of what it sends. The rest overfills thin uplinks.
        # A client that puts RED first itself, as the page does, also changes to Opus itself there.
        wanted -= {Extension.TRANSPORT_SEQ}
        payloads = _without_transport_feedback(payloads)
    extensions = match_extensions(section, wanted, Direction.SENDONLY, mixed)
    ids = extension_ids(extensions)
    media = NegotiatedMedia(
        index=index,
        mid=offer.name(index),
        kind=section.kind,
        direction=Direction.RECVONLY if sends else Direction.INACTIVE,
        payloads=payloads,
        extensions=ids,
        rids=offered_rids(section) if Extension.RID in ids.values() else (),
        streams=offered_streams(section),
        msid=section.msids[0].stream if section.msids else "",
    )
    answered = _accepting(section, media, extensions)
    return media, _pausing(answered, media) if media.mid in policy.pausing else answered


def only_receives(description: SessionDescription, section: MediaSection) -> bool:
    """Return True if the client wants media on a section of its offer, and sends none."""
    direction = description.direction_of(section)
    return section.kind != _DATA and direction.receives and not direction.sends


def _accepting(section: MediaSection, media: NegotiatedMedia, extensions: tuple[ExtensionMap, ...]) -> MediaSection:
    simulcast = len(media.rids) > 1 and section.simulcast is not None
    return replace(
        acceptance(section, media, extensions, Direction.RECVONLY),
        rids=tuple(Rid(rid, sends=False) for rid in media.rids),
        simulcast=Simulcast(receive=tuple((SimulcastStream(rid),) for rid in media.rids)) if simulcast else None,
    )


def _pausing(section: MediaSection, media: NegotiatedMedia) -> MediaSection:
    """Let the other side send next to nothing while it is silent (RFC 7587, section 3.1.3)."""
    lines = [
        replace(line, text=f"{line.text};usedtx=1") if media.payloads[line.payload_type].codec is Codec.OPUS else line
        for line in section.parameters
    ]
    return replace(section, parameters=tuple(lines))


def _without_transport_feedback(payloads: dict[int, NegotiatedPayload]) -> dict[int, NegotiatedPayload]:
    return {
        number: replace(payload, feedback=payload.feedback - {"transport-cc"}) for number, payload in payloads.items()
    }


def _preferred_first(payloads: dict[int, NegotiatedPayload], preferred: Codec | None) -> dict[int, NegotiatedPayload]:
    return dict(sorted(payloads.items(), key=lambda item: item[1].codec != preferred))
