"""Tracks as a browser publishes them: a microphone with RED (RFC 2198) and a camera in three layers with rids."""

import secrets
from dataclasses import dataclass, replace

from bench.light.library import TrackSettings
from bench.light.recording import RIDS, SIZES
from parley_client.descriptions import (
    PAYLOAD_TYPES,
    PUBLISH_EXTENSIONS,
    RTX_PAYLOAD_TYPES,
    OfferedTrack,
    publish_offer,
)
from sfu.formats.codecs import Codec
from sfu.formats.extensions import URIS, Extension
from sfu.formats.sdp import (
    ExtensionMap,
    FormatParameters,
    MediaSection,
    Rid,
    RtpMap,
    SessionDescription,
    Simulcast,
    SimulcastStream,
    parse,
    serialize,
)
from sfu.machines.negotiation.agreement import LocalTransport

MICROPHONE_MID, CAMERA_MID = "0", "1"
RED = 63
REPAIR_RATE = 2_500_000
"""Budget for retransmissions in bits/s: as in libwebrtc, the target bit rate of the media."""
_EXTENSIONS = PUBLISH_EXTENSIONS | {2: Extension.ABS_SEND_TIME, 5: Extension.RID, 6: Extension.REPAIRED_RID}
_IDS = {extension: number for number, extension in _EXTENSIONS.items()}


@dataclass(frozen=True, slots=True)
class MeetingTracks:
    """Parameters of a microphone and of a camera's layers for the C code."""

    microphone: TrackSettings
    layers: tuple[TrackSettings, ...]


def meeting_offer(local: LocalTransport, tracks: MeetingTracks) -> str:
    """Return the offer of a microphone and a camera, as Chromium writes it: layers have rids but no SSRCs."""
    cname = secrets.token_hex(8)
    sound, lowest = tracks.microphone, tracks.layers[0]
    plain = publish_offer(
        local,
        [
            OfferedTrack(MICROPHONE_MID, Codec.OPUS, sound.ssrc, None, cname),
            OfferedTrack(CAMERA_MID, Codec.VP8, lowest.ssrc, lowest.rtx_ssrc, cname),
        ],
        1,
    )
    description: SessionDescription = parse(plain)
    microphone, camera = description.media
    return serialize(replace(description, media=(_in_red(microphone), _in_layers(camera))))


def sends_red(tracks: MeetingTracks, answer: str) -> MeetingTracks:
    """Return the tracks with the negotiated settings: sound is sent as RED if the answer lists RED first."""
    (sound,) = [section for section in parse(answer).media if section.mid == MICROPHONE_MID]
    red = RED if sound.formats[0] == str(RED) else 0
    return replace(tracks, microphone=replace(tracks.microphone, red_payload_type=red))


def _in_red(section: MediaSection) -> MediaSection:
    opus = PAYLOAD_TYPES[Codec.OPUS]
    return replace(
        section,
        formats=(str(RED), *section.formats),
        rtp_maps=(RtpMap(RED, "red", 48_000, 2), *section.rtp_maps),
        parameters=(*section.parameters, FormatParameters(RED, f"{opus}/{opus}")),
        extensions=_lines(Extension.MID, Extension.TRANSPORT_SEQ, Extension.AUDIO_LEVEL, Extension.ABS_SEND_TIME),
    )


def _in_layers(section: MediaSection) -> MediaSection:
    return replace(
        section,
        extensions=_lines(
            Extension.MID, Extension.RID, Extension.REPAIRED_RID, Extension.TRANSPORT_SEQ, Extension.ABS_SEND_TIME
        ),
        rids=tuple(Rid(rid, sends=True) for rid in RIDS),
        simulcast=Simulcast(send=tuple((SimulcastStream(rid),) for rid in RIDS)),
        ssrcs=(),
        ssrc_groups=(),
    )


def _lines(*extensions: Extension) -> tuple[ExtensionMap, ...]:
    return tuple(ExtensionMap(_IDS[extension], URIS[extension]) for extension in extensions)


def meeting_tracks() -> MeetingTracks:
    """Return a microphone and a camera with new SSRCs."""
    return MeetingTracks(
        TrackSettings(
            ssrc=_ssrc(),
            rtx_ssrc=0,
            payload_type=PAYLOAD_TYPES[Codec.OPUS],
            rtx_payload_type=0,
            is_video=False,
            mid=MICROPHONE_MID,
            mid_id=_IDS[Extension.MID],
            transport_seq_id=_IDS[Extension.TRANSPORT_SEQ],
            audio_level_id=_IDS[Extension.AUDIO_LEVEL],
            clock_rate=48_000,
            send_time_id=_IDS[Extension.ABS_SEND_TIME],
        ),
        tuple(_layer(rid) for rid in RIDS),
    )


def _layer(rid: str) -> TrackSettings:
    width, height = SIZES[rid]
    return TrackSettings(
        ssrc=_ssrc(),
        rtx_ssrc=_ssrc(),
        payload_type=PAYLOAD_TYPES[Codec.VP8],
        rtx_payload_type=RTX_PAYLOAD_TYPES[Codec.VP8],
        is_video=True,
        mid=CAMERA_MID,
        mid_id=_IDS[Extension.MID],
        transport_seq_id=_IDS[Extension.TRANSPORT_SEQ],
        audio_level_id=0,
        clock_rate=90_000,
        rid=rid,
        rid_id=_IDS[Extension.RID],
        rrid_id=_IDS[Extension.REPAIRED_RID],
        send_time_id=_IDS[Extension.ABS_SEND_TIME],
        has_temporal_layers=True,
        width=width,
        height=height,
    )


def _ssrc() -> int:
    return secrets.randbits(31) | 1
