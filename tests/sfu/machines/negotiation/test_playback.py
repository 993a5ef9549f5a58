"""Answers to players (WHEP): their payload types and ids, our streams."""

from pathlib import Path

import pytest

from sfu.formats import sdp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.negotiation.agreement import LocalTransport, OfferedStream
from sfu.machines.negotiation.playback import PlaybackNegotiation, PlaybackStream

FIXTURES = Path(__file__).parents[3] / "fixtures" / "sdp"
LOCAL = LocalTransport(
    "localufr", "localpassword0123456789abcdef", (sdp.Fingerprint("sha-256", ":".join(["AB"] * 32)),)
)
STREAMS = (PlaybackStream("audio", "stage", 10), PlaybackStream("video", "stage", 20, 21))


def offer(name: str) -> str:
    return (FIXTURES / f"{name}.sdp").read_text(encoding="utf-8")


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_a_browser_player_keeps_its_numbers(browser: str) -> None:
    offered = sdp.parse(offer(f"{browser}-recvonly"))
    result = PlaybackNegotiation(3).answer(offer(f"{browser}-recvonly"), LOCAL, STREAMS)
    audio, video = result.media
    assert audio.streams == (OfferedStream(10, None, "stage"),)
    assert video.streams == (OfferedStream(20, 21, "stage"),)
    for section, reply in zip(offered.media, result.description.media, strict=True):
        assert reply.direction is sdp.Direction.SENDONLY
        names = {line.payload_type: (line.name, line.clock_rate) for line in section.rtp_maps}
        assert all(names[line.payload_type] == (line.name, line.clock_rate) for line in reply.rtp_maps)
        assert {line.id: line.uri for line in reply.extensions}.items() <= {
            line.id: line.uri for line in section.extensions
        }.items()
        assert reply.msids[0].stream == "stage"
    assert result.description.media[1].ssrc_groups == (sdp.SsrcGroup("FID", (20, 21)),)
    assert not set(video.extensions.values()) & {Extension.RID, Extension.REPAIRED_RID}
    assert Codec.VP8 in {payload.codec for payload in video.payloads.values()}


def test_one_payload_type_of_each_codec_is_accepted_with_its_rtx() -> None:
    (_, offered), (_, video) = (
        sdp.parse(offer("chromium-recvonly")).media,
        PlaybackNegotiation(3).answer(offer("chromium-recvonly"), LOCAL, STREAMS).media,
    )
    assert [line.name for line in offered.rtp_maps].count("H264") > 1
    codecs = [payload.codec for payload in video.payloads.values() if payload.codec is not Codec.RTX]
    assert len(codecs) == len(set(codecs)) > 3
    repaired = [payload.repairs for payload in video.payloads.values() if payload.codec is Codec.RTX]
    assert repaired == [number for number, payload in video.payloads.items() if payload.codec is not Codec.RTX]


def test_sections_without_a_stream_are_inactive() -> None:
    result = PlaybackNegotiation(3).answer(offer("chromium-sendrecv"), LOCAL, STREAMS)
    assert [media.direction for media in result.media] == [
        sdp.Direction.SENDONLY,
        sdp.Direction.SENDONLY,
        sdp.Direction.INACTIVE,
    ]
    assert all(media.accepted for media in result.media)


def test_nothing_is_sent_where_the_player_does_not_receive() -> None:
    result = PlaybackNegotiation(3).answer(offer("chromium-audio-video"), LOCAL, STREAMS)
    assert [media.streams for media in result.media] == [(), ()]


def test_a_refused_section_leaves_its_stream_for_the_next() -> None:
    text = offer("chromium-sendrecv").replace("m=video 9", "m=video 0", 1)
    result = PlaybackNegotiation(3).answer(text, LOCAL, STREAMS)
    assert [media.refused for media in result.media] == ["", "disabled", ""]
    assert result.media[2].streams == (OfferedStream(20, 21, "stage"),)
