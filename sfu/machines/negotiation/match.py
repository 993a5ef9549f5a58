"""Matching of offered m-sections: payload types, header extensions, simulcast streams and SSRCs."""

from collections.abc import Collection, Mapping

from sfu.formats.codecs import Codec
from sfu.formats.extensions import URIS, Extension
from sfu.formats.sdp import Direction, ExtensionMap, Feedback, FormatParameters, MediaSection, RtpMap, h264_format
from sfu.machines.negotiation.agreement import NegotiatedPayload, OfferedStream

MAX_STREAMS = 16
MAX_RIDS = 4
MAX_ONE_BYTE_ID = 14

_CODECS = {
    ("audio", "opus", 48000, 2): Codec.OPUS,
    ("audio", "red", 48000, 2): Codec.RED,
    ("video", "vp8", 90000, 1): Codec.VP8,
    ("video", "vp9", 90000, 1): Codec.VP9,
    ("video", "h264", 90000, 1): Codec.H264,
    ("video", "av1", 90000, 1): Codec.AV1,
}
_BY_URI = {uri: extension for extension, uri in URIS.items()}
_FEEDBACK = {"audio": ("transport-cc", "nack"), "video": ("transport-cc", "goog-remb", "nack", "nack pli")}


def match_payloads(section: MediaSection, codecs: Collection[Codec]) -> dict[int, NegotiatedPayload]:
    """Return the m-line's payload types for any of `codecs`, in its order, with RTX last.

    RTX is accepted if its apt is; RED only if it carries Opus alone, and Opus is accepted. VP9 and AV1 are accepted in
    profile 0, H264 in the profiles of `h264_format`.
    """
    maps = {rtp_map.payload_type: rtp_map for rtp_map in section.rtp_maps}
    parameters = {line.payload_type: line.values for line in section.parameters}
    found: dict[int, NegotiatedPayload] = {}
    repairs: dict[int, RtpMap] = {}
    for rtp_map in (maps[number] for number in _payload_types(section) if number in maps):
        number = rtp_map.payload_type
        if rtp_map.name.lower() == "rtx":
            repairs[number] = rtp_map
            continue
        codec = _CODECS.get((section.kind, rtp_map.name.lower(), rtp_map.clock_rate, rtp_map.channels))
        values = parameters.get(number, {})
        if codec is not None and codec in codecs and _is_usable(codec, values):
            found[number] = NegotiatedPayload(
                codec=codec,
                clock_rate=rtp_map.clock_rate,
                channels=rtp_map.channels,
                parameters=values,
                feedback=match_feedback(section, number),
            )
    for number, rtp_map in repairs.items():
        apt = parameters.get(number, {}).get("apt", "")
        repaired = int(apt) if apt.isascii() and apt.isdigit() and len(apt) <= 3 else -1
        if repaired in found and found[repaired].codec != Codec.RTX:
            found[number] = NegotiatedPayload(Codec.RTX, rtp_map.clock_rate, repairs=repaired)
    return {
        number: payload
        for number, payload in found.items()
        if payload.codec != Codec.RED or _repeats_opus(payload.parameters, found)
    }


def _repeats_opus(parameters: Mapping[str, str], found: Mapping[int, NegotiatedPayload]) -> bool:
    """Return True if the fmtp of RED (RFC 2198, section 5) names payload types of Opus only, or none."""
    listed = [number for line in parameters for number in line.split("/")]
    opus = {str(number) for number, payload in found.items() if payload.codec == Codec.OPUS}
    return bool(opus) and set(listed) <= opus


def match_feedback(section: MediaSection, payload_type: int) -> frozenset[str]:
    """Return the feedback of a payload type that the sfu supports."""
    offered = {line.value.strip() for line in section.feedback if line.payload_type in (None, payload_type)}
    return frozenset(offered & set(_FEEDBACK.get(section.kind, ())))


def match_extensions(
    section: MediaSection, wanted: Collection[Extension], needed: Direction, allow_mixed: bool
) -> tuple[ExtensionMap, ...]:
    """Return the offered extensions that are `wanted` and that the offer allows in the `needed` direction.

    `needed` is SENDONLY if the offerer will send them, RECVONLY if it will receive them. Ids above 14 need two-byte
    headers, and so `allow_mixed` (RFC 8285, section 6).
    """
    highest = 255 if allow_mixed else MAX_ONE_BYTE_ID
    taken: dict[Extension, ExtensionMap] = {}
    ids: set[int] = set()
    for line in section.extensions:
        extension = _BY_URI.get(line.uri)
        if extension is None or extension not in wanted or extension in taken:
            continue
        if line.direction not in (None, Direction.SENDRECV, needed) or line.id > highest or line.id in ids:
            continue
        taken[extension] = line
        ids.add(line.id)
    return tuple(taken.values())


def extension_ids(lines: Collection[ExtensionMap]) -> dict[int, Extension]:
    """Return extensions by id; all URIs must be known."""
    return {line.id: _BY_URI[line.uri] for line in lines}


def offered_rids(section: MediaSection) -> tuple[str, ...]:
    """Return the rids that the offerer sends, in the order of its simulcast line (first alternatives), else of the rid
    lines.
    """
    sending = [rid.id for rid in section.rids if rid.sends]
    if section.simulcast is not None:
        named = [alternatives[0].rid for alternatives in section.simulcast.send if alternatives]
        sending = [rid for rid in dict.fromkeys(named) if rid in sending]
    return tuple(dict.fromkeys(sending))[:MAX_RIDS]


def offered_streams(section: MediaSection) -> tuple[OfferedStream, ...]:
    """Return the section's announced SSRCs, each with its RTX SSRC (FID)."""
    pairs = {group.ssrcs[0]: group.ssrcs[1] for group in section.ssrc_groups if _is_pair(group.semantics, group.ssrcs)}
    repairing = set(pairs.values())
    cnames = {line.ssrc: line.value or "" for line in section.ssrcs if line.name == "cname"}
    ssrcs = dict.fromkeys([line.ssrc for line in section.ssrcs] + list(pairs))
    return tuple(OfferedStream(ssrc, pairs.get(ssrc), cnames.get(ssrc, "")) for ssrc in ssrcs if ssrc not in repairing)[
        :MAX_STREAMS
    ]


def payload_lines(
    payloads: Mapping[int, NegotiatedPayload],
) -> tuple[tuple[RtpMap, ...], tuple[FormatParameters, ...], tuple[Feedback, ...]]:
    """Return the rtpmap, fmtp and rtcp-fb lines of payload types."""
    maps: list[RtpMap] = []
    parameters: list[FormatParameters] = []
    feedback: list[Feedback] = []
    for number, payload in payloads.items():
        maps.append(RtpMap(number, _NAMES[payload.codec], payload.clock_rate, payload.channels))
        text = _parameter_text(payload)
        if text:
            parameters.append(FormatParameters(number, text))
        feedback += [Feedback(number, value) for value in sorted(payload.feedback)]
    return tuple(maps), tuple(parameters), tuple(feedback)


_NAMES = {
    Codec.OPUS: "opus",
    Codec.VP8: "VP8",
    Codec.VP9: "VP9",
    Codec.H264: "H264",
    Codec.AV1: "AV1",
    Codec.RTX: "rtx",
    Codec.RED: "red",
}
_MIRRORED = {
    Codec.VP9: ("profile-id",),
    Codec.H264: ("level-asymmetry-allowed", "packetization-mode", "profile-level-id"),
    Codec.AV1: ("level-idx", "profile", "tier"),
}


def _parameter_text(payload: NegotiatedPayload) -> str:
    """Return our fmtp for a payload type: parameters that configure the codec are mirrored, the other side's limits are
    not.
    """
    if payload.codec == Codec.RTX:
        return f"apt={payload.repairs}"
    if payload.codec == Codec.RED:
        return "".join(payload.parameters)
    if payload.codec == Codec.OPUS:
        return "minptime=10;useinbandfec=1"
    names = _MIRRORED.get(payload.codec, ())
    return ";".join(f"{name}={payload.parameters[name]}" for name in names if payload.parameters.get(name))


def _payload_types(section: MediaSection) -> list[int]:
    return [int(text) for text in dict.fromkeys(section.formats) if text.isascii() and text.isdigit() and len(text) < 4]


def _is_usable(codec: Codec, parameters: Mapping[str, str]) -> bool:
    if codec == Codec.VP9:
        return parameters.get("profile-id", "0") == "0"
    if codec == Codec.AV1:
        return parameters.get("profile", "0") == "0"
    if codec == Codec.H264:
        try:
            h264_format(parameters)
        except ValueError:
            return False
    return True


def _is_pair(semantics: str, ssrcs: tuple[int, ...]) -> bool:
    return semantics == "FID" and len(ssrcs) == 2 and ssrcs[0] != ssrcs[1]
