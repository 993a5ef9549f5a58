"""Answers to a player's offers (WHEP): sendonly, with the player's payload types and extension ids."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.sdp import Direction, ExtensionMap, Feedback, MediaSection, Msid, SsrcAttribute, SsrcGroup
from sfu.machines.negotiation.agreement import (
    LocalTransport,
    Negotiated,
    NegotiatedMedia,
    NegotiatedPayload,
    OfferedStream,
)
from sfu.machines.negotiation.answer import Answerer, ReadOffer, acceptance, allows_mixed, rejection
from sfu.machines.negotiation.match import extension_ids, match_extensions, match_payloads

CONGESTION_FEEDBACK = "ack ccfb"
SENT_EXTENSIONS = frozenset(Extension) - {Extension.RID, Extension.REPAIRED_RID}


@dataclass(frozen=True, slots=True)
class PlaybackStream:
    """A stream to send: "audio" or "video" under these SSRCs; streams with the same `msid` are played in sync.

    `track` is the id in the msid line, for clients that identify tracks by it.
    """

    kind: str
    msid: str
    ssrc: int
    rtx_ssrc: int | None = None
    track: str = ""


class PlaybackNegotiation:
    """The offers and answers of one WHEP session."""

    def __init__(self, session_id: int) -> None:
        """`session_id` is a random 62-bit number (RFC 9429, section 5.2.1)."""
        self._answerer = Answerer(session_id)

    def restarts_ice(self, offer: str) -> bool:
        """Return True if a later offer carries new ICE credentials; raises ValueError if it does not parse."""
        return self._answerer.restarts_ice(offer)

    def answer(
        self,
        offer: str,
        local: LocalTransport,
        streams: Sequence[PlaybackStream],
        codecs: frozenset[Codec] = frozenset(Codec),
    ) -> Negotiated:
        """Return the answer; streams are assigned in order to the offered m-sections of their kind, and the rest is not
        sent.

        Only `codecs` are accepted from the offer. In the result, `streams` of each section holds the assigned SSRCs;
        sections without any are inactive. Raises ValueError if the offer does not parse or cannot be answered.
        """
        read = self._answerer.read(offer)
        waiting = list(streams)
        decided: list[tuple[NegotiatedMedia, MediaSection]] = []
        for index, section in enumerate(read.description.media):
            receives = read.description.direction_of(section).receives
            stream = next((stream for stream in waiting if receives and stream.kind == section.kind), None)
            decision = decide(read, index, stream, codecs)
            if decision[0].streams and stream is not None:
                waiting.remove(stream)
            decided.append(decision)
        return self._answerer.finish(read, local, decided)


def sent_stream_lines(
    msid: str, kind: str, ssrc: int, rtx_ssrc: int | None, track: str = ""
) -> tuple[tuple[Msid, ...], tuple[SsrcAttribute, ...], tuple[SsrcGroup, ...]]:
    """Return the msid, ssrc and ssrc-group lines of a stream that we send; the CNAME is the msid (RFC 7022)."""
    ssrcs = (ssrc,) if rtx_ssrc is None else (ssrc, rtx_ssrc)
    return (
        (Msid(msid, track or f"{msid}-{kind}"),),
        tuple(SsrcAttribute(number, "cname", msid) for number in ssrcs),
        () if rtx_ssrc is None else (SsrcGroup("FID", ssrcs),),
    )


def decide(
    offer: ReadOffer,
    index: int,
    stream: PlaybackStream | None,
    codecs: frozenset[Codec],
    wanted: Collection[Extension] = SENT_EXTENSIONS,
) -> tuple[NegotiatedMedia, MediaSection]:
    """Return the answer to one section, on which a stream or nothing is sent, with the `wanted` extensions."""
    section = offer.description.media[index]
    reason = offer.refusal(section)
    if reason:
        return rejection(offer, index, reason)
    payloads = _one_of_each_codec(match_payloads(section, codecs - {Codec.RED}))
    if not payloads:
        return rejection(offer, index, "no_codec")
    extensions = match_extensions(section, wanted, Direction.RECVONLY, allows_mixed(offer, section))
    media = NegotiatedMedia(
        index=index,
        mid=offer.name(index),
        kind=section.kind,
        direction=Direction.SENDONLY if stream else Direction.INACTIVE,
        payloads=payloads,
        extensions=extension_ids(extensions),
        streams=(OfferedStream(stream.ssrc, stream.rtx_ssrc, stream.msid),) if stream else (),
        msid=stream.msid if stream else "",
    )
    return media, _accepting(section, media, extensions, stream)


def _one_of_each_codec(payloads: dict[int, NegotiatedPayload]) -> dict[int, NegotiatedPayload]:
    """Return the first payload type of each codec, which is the one that is sent, and its RTX.

    Browsers offer H264 in six formats. With all of them, an answer with a few sections does not fit into TCP's initial
    window (RFC 6928), so a far player would wait for it a round trip longer.
    """
    first: dict[Codec, int] = {}
    for number, payload in payloads.items():
        if payload.codec is not Codec.RTX:
            first.setdefault(payload.codec, number)
    kept = set(first.values())
    return {number: payload for number, payload in payloads.items() if {number, payload.repairs} & kept}


def _accepting(
    section: MediaSection, media: NegotiatedMedia, extensions: tuple[ExtensionMap, ...], stream: PlaybackStream | None
) -> MediaSection:
    msids, ssrcs, groups = (
        sent_stream_lines(stream.msid, stream.kind, stream.ssrc, stream.rtx_ssrc, stream.track)
        if stream
        else ((), (), ())
    )
    accepted = acceptance(section, media, extensions, Direction.SENDONLY)
    feedback = (*accepted.feedback, *_congestion_feedback(section, media))
    return replace(accepted, msids=msids, ssrcs=ssrcs, ssrc_groups=groups, feedback=feedback)


def _congestion_feedback(section: MediaSection, media: NegotiatedMedia) -> tuple[Feedback, ...]:
    """Return the line that accepts RFC 8888 (section 6) if it was offered without transport-cc."""
    has_better = any("transport-cc" in payload.feedback for payload in media.payloads.values())
    line = Feedback(None, CONGESTION_FEEDBACK)
    return (line,) if line in section.feedback and not has_better else ()
