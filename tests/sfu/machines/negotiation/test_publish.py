"""Answers to publishers: real offers of browsers and encoders, re-offers, and refusals."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import sdp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.negotiation.agreement import DtlsRole, LocalTransport, OfferedStream
from sfu.machines.negotiation.publish import PublishNegotiation, PublishPolicy

FIXTURES = Path(__file__).parents[3] / "fixtures" / "sdp"
OFFERS = sorted(path.stem for path in FIXTURES.glob("*.sdp") if "answer" not in path.stem)
LOCAL = LocalTransport(
    ufrag="localufr",
    pwd="localpassword0123456789abcdef",
    fingerprints=(sdp.Fingerprint("sha-256", ":".join(["AB"] * 32)),),
    candidates=(sdp.Candidate("1", 1, "udp", 2130706431, "192.0.2.1", 8810, "host"),),
)


def offer(name: str) -> str:
    return (FIXTURES / f"{name}.sdp").read_text(encoding="utf-8")


def answer(text: str, policy: PublishPolicy | None = None):
    return PublishNegotiation(7).answer(text, LOCAL, policy or PublishPolicy())


@pytest.mark.parametrize("name", OFFERS)
def test_every_recorded_offer_gets_an_answer_that_follows_its_m_lines(name: str) -> None:
    offered = sdp.parse(offer(name))
    result = answer(offer(name))
    answered = sdp.parse(result.sdp)
    assert answered == result.description
    assert answered.ice_lite
    assert [(section.kind, section.mid) for section in answered.media] == [
        (section.kind, section.mid) for section in offered.media
    ]
    for section, reply, media in zip(offered.media, answered.media, result.media, strict=True):
        assert set(reply.formats) <= set(section.formats)
        assert media.accepted == (reply.port != 0)
        assert not {line.uri for line in reply.extensions} - {line.uri for line in section.extensions}
        if media.accepted:
            assert reply.transport.setup is not sdp.Setup.ACTPASS
            assert reply.rtcp_mux
            assert set(media.payloads) == set(map(int, reply.formats))
    assert answered.bundle == tuple(media.mid for media in result.media if media.accepted)
    first = next(section for section in answered.media if section.port)
    assert first.candidates == LOCAL.candidates


def test_chromium_simulcast() -> None:
    result = answer(offer("chromium-simulcast"))
    audio, video, application = result.media
    assert {payload.codec for payload in audio.payloads.values()} == {Codec.OPUS, Codec.RED}
    assert video.rids == ("q", "h", "f")
    assert {payload.codec for payload in video.payloads.values()} == {
        Codec.VP8,
        Codec.VP9,
        Codec.H264,
        Codec.AV1,
        Codec.RTX,
    }
    assert video.payloads[97].repairs == 96
    assert video.payloads[96].feedback == {"nack", "nack pli", "transport-cc", "goog-remb"}
    assert 100 not in video.payloads  # VP9 profile 2
    assert set(video.extensions.values()) >= {Extension.MID, Extension.RID, Extension.REPAIRED_RID}
    reply = result.description.media[1]
    assert reply.simulcast == sdp.Simulcast(receive=tuple((sdp.SimulcastStream(rid),) for rid in "qhf"))
    assert [(rid.id, rid.sends) for rid in reply.rids] == [("q", False), ("h", False), ("f", False)]
    assert application.refused == "unsupported_media"
    assert result.remote.role is DtlsRole.SERVER


@pytest.mark.parametrize("extension", ["urn:3gpp:video-orientation", "video-layers-allocation"])
def test_extensions_that_nobody_reads_or_ought_to_get_are_not_accepted(extension: str) -> None:
    text = offer("chromium-simulcast")
    assert extension in text
    assert extension not in answer(text).sdp


@pytest.mark.parametrize(
    "candidate",
    [
        "1 1 udp 2113937151 0b6c0f5e-8f3c-4c8e-9f5e-2f1f6f1d3c11.local 5000 typ host generation 0",
        "1 1 tcp 2105458943 0b6c0f5e-8f3c-4c8e-9f5e-2f1f6f1d3c11.local 9 typ host tcptype active",
        "1 1 udp 1677729535 198.51.100.7 5000 typ srflx raddr 0.0.0.0 rport 0",
    ],
)
def test_whatever_candidates_an_offer_has_are_tolerated(candidate: str) -> None:
    text = offer("chromium-simulcast")
    offered = re.sub("(?=a=ice-ufrag)", f"a=candidate:{candidate}\r\n", text)
    assert offered != text
    assert [media.accepted for media in answer(offered).media] == [True, True, False]


def test_firefox_names_its_streams_and_directions() -> None:
    result = answer(offer("firefox-simulcast"), PublishPolicy(preferred=Codec.AV1))
    video = result.media[1]
    assert len(video.streams) == 3
    assert all(stream.rtx_ssrc and stream.cname for stream in video.streams)
    line = next(line for line in result.description.media[1].extensions if "dependency-descriptor" in line.uri)
    assert line.direction is sdp.Direction.RECVONLY  # offered as sendonly
    assert Extension.PLAYOUT_DELAY not in video.extensions.values()  # offered as recvonly


def test_the_dependency_descriptor_is_for_av1_only() -> None:
    for codec in (Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1):
        media = answer(offer("chromium-simulcast"), PublishPolicy(preferred=codec)).media
        video = next(section for section in media if section.kind == "video")
        assert (Extension.DEPENDENCY_DESCRIPTOR in video.extensions.values()) is (codec is Codec.AV1)


def test_only_fid_groups_pair_streams() -> None:
    text = offer("ffmpeg-whip").replace("a=ssrc-group:FID", "a=ssrc-group:SIM")
    assert [stream.rtx_ssrc for stream in answer(text).media[1].streams] == [None]


def test_ffmpeg_awaits_our_hello() -> None:
    result = answer(offer("ffmpeg-whip"))
    assert result.remote.role is DtlsRole.CLIENT
    assert all(section.transport.setup is sdp.Setup.ACTIVE for section in result.description.media)
    audio, video = result.media
    assert audio.streams == (OfferedStream(3709866595, None, "FFmpeg"),)
    assert video.streams == (OfferedStream(3709866596, 3709866597, "FFmpeg"),)
    assert video.payloads[106].codec is Codec.H264
    assert video.payloads[106].feedback == {"nack"}
    assert video.payloads[105].repairs == 106
    assert not video.extensions


def test_without_transport_cc_goog_remb_is_taken() -> None:
    video = answer(offer("aiortc-audio-video")).media[1]
    assert video.payloads[97].feedback == {"nack", "nack pli", "goog-remb"}


def test_offers_without_mid_are_named_by_index() -> None:
    text = "".join(
        line + "\r\n" for line in offer("ffmpeg-whip").splitlines() if not line.startswith(("a=mid", "a=group"))
    )
    result = answer(text)
    assert [(media.mid, media.accepted) for media in result.media] == [("0", True), ("1", True)]
    assert all(section.mid is None for section in result.description.media)
    assert result.description.groups == ()


def test_a_section_of_another_transport_is_refused() -> None:
    head, audio, video = offer("ffmpeg-whip").split("m=")
    text = "m=".join((head.replace("BUNDLE 0 1", "BUNDLE 0"), audio, video.replace("ice-ufrag:", "ice-ufrag:other")))
    assert [media.refused for media in answer(text).media] == ["", "not_bundled"]


def test_bundle_only_with_port_0_is_taken() -> None:
    result = answer(offer("gstreamer-webrtcbin"))
    assert all(media.accepted for media in result.media)
    assert sdp.parse(offer("gstreamer-webrtcbin")).media[1].port == 0


def test_preferred_codec_comes_first() -> None:
    for codec in (Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1):
        result = answer(offer("chromium-audio-video"), PublishPolicy(preferred=codec))
        first = int(result.description.media[1].formats[0])
        assert result.media[1].payloads[first].codec is codec
        policy = PublishPolicy(by_mid={result.media[1].mid: codec})
        assert answer(offer("chromium-audio-video"), policy).sdp == result.sdp


def test_only_sound_that_may_pause_is_asked_to() -> None:
    text = offer("chromium-audio-video")
    audio = answer(text).description.media[0]
    pausing = answer(text, PublishPolicy(pausing=frozenset({audio.mid or ""}))).description.media[0]
    opus = next(line.payload_type for line in audio.rtp_maps if line.name == "opus")
    asked = [
        [line.payload_type for line in section.parameters if line.values.get("usedtx") == "1"]
        for section in (audio, pausing)
    ]
    assert asked == [[], [opus]]


def test_red_stays_where_it_was_offered() -> None:
    text = offer("chromium-audio-video")
    section = answer(text).description.media[0]
    assert section.formats == ("111", "63")
    assert {"a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"} <= set(answer(text).sdp.splitlines())
    preferred = text.replace("111 63 ", "63 111 ", 1)
    assert answer(preferred).description.media[0].formats == ("63", "111")
    sealed = answer(preferred, PublishPolicy(codecs=frozenset(Codec) - {Codec.RED}))
    assert sealed.description.media[0].formats == ("111",)


def test_red_that_we_choose_is_kept_out_of_the_estimate_of_its_senders_uplink() -> None:
    text = offer("chromium-audio-video")
    red = answer(text, PublishPolicy(by_mid={answer(text).media[0].mid: Codec.RED}))
    own = answer(text.replace("111 63 ", "63 111 ", 1))
    for negotiated, expected in ((answer(text), True), (own, True), (red, False)):
        sound, picture = negotiated.media
        assert ("transport-cc" in sound.payloads[111].feedback) is expected
        assert (Extension.TRANSPORT_SEQ in sound.extensions.values()) is expected
        assert Extension.TRANSPORT_SEQ in picture.extensions.values()


@pytest.mark.parametrize("repeated", ["111/9", "9/9", "9"])
def test_red_of_something_else_than_opus_is_not_taken(repeated: str) -> None:
    text = offer("chromium-audio-video").replace("a=fmtp:63 111/111", f"a=fmtp:63 {repeated}")
    assert answer(text).description.media[0].formats == ("111",)


def test_policy_limits_tracks_and_codecs() -> None:
    text = offer("chromium-sendrecv")
    assert [media.refused for media in answer(text, PublishPolicy(max_video=1)).media] == ["", "", "too_many_tracks"]
    assert answer(text, PublishPolicy(max_audio=0)).media[0].refused == "too_many_tracks"
    only_vp8 = answer(text, PublishPolicy(codecs=frozenset({Codec.OPUS, Codec.VP8}))).media[1]
    assert {payload.codec for payload in only_vp8.payloads.values()} == {Codec.VP8, Codec.RTX}
    assert answer(text, PublishPolicy(codecs=frozenset({Codec.VP8}))).media[0].refused == "no_codec"


def test_re_offers_keep_session_order_and_role() -> None:
    negotiation = PublishNegotiation(7)
    first = negotiation.answer(offer("chromium-audio-video"), LOCAL, PublishPolicy())
    text = offer("chromium-audio-video")
    added = text[text.index("m=video") :].replace("a=mid:1", "a=mid:2")
    grown = text.replace("BUNDLE 0 1", "BUNDLE 0 1 2").replace("a=sendonly", "a=inactive", 1) + added
    second = negotiation.answer(grown, LOCAL, PublishPolicy())
    assert second.description.origin.session_id == first.description.origin.session_id == "7"
    assert second.description.origin.version == first.description.origin.version + 1
    assert [media.direction for media in second.media] == [
        sdp.Direction.INACTIVE,
        sdp.Direction.RECVONLY,
        sdp.Direction.RECVONLY,
    ]
    with pytest.raises(ValueError, match="dropped"):
        negotiation.answer(text, LOCAL, PublishPolicy())
    assert negotiation.answer(grown, LOCAL, PublishPolicy()).description.origin.version == 3


def test_role_stands_when_a_re_offer_leaves_the_choice() -> None:
    negotiation = PublishNegotiation(7)
    text = offer("ffmpeg-whip")
    assert negotiation.answer(text, LOCAL, PublishPolicy()).remote.role is DtlsRole.CLIENT
    again = negotiation.answer(text.replace("setup:passive", "setup:actpass"), LOCAL, PublishPolicy())
    assert again.remote.role is DtlsRole.CLIENT


def test_a_disabled_section_is_answered_disabled_and_recycled() -> None:
    negotiation = PublishNegotiation(7)
    text = offer("chromium-simulcast")
    negotiation.answer(text, LOCAL, PublishPolicy())
    head, audio, video, application = text.split("m=")
    recycled = video.replace("a=mid:1", "a=mid:9").replace("a=rid:", "a=x-rid:").replace("a=simulcast", "a=x-simulcast")
    stopped = "m=".join((head.replace("0 1 2", "0 9"), audio, video.replace("video 9", "video 0"), recycled))
    result = negotiation.answer(stopped, LOCAL, PublishPolicy())
    assert [(media.mid, media.refused) for media in result.media] == [("0", ""), ("1", "disabled"), ("9", "")]
    with pytest.raises(ValueError, match="changed the media"):
        negotiation.answer("m=".join((head, video, audio, application)), LOCAL, PublishPolicy())


def test_a_re_offer_may_restart_ice_but_not_change_the_certificate() -> None:
    negotiation = PublishNegotiation(7)
    text = offer("ffmpeg-whip")
    assert not negotiation.restarts_ice(text)
    negotiation.answer(text, LOCAL, PublishPolicy())
    assert not negotiation.restarts_ice(text)
    assert negotiation.restarts_ice(text.replace("ufrag:eaab", "ufrag:baae"))
    with pytest.raises(ValueError, match="certificate"):
        negotiation.answer(text.replace("sha-256 88", "sha-256 89"), LOCAL, PublishPolicy())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("a=ice-pwd", "a=x-ice-pwd"),
        lambda text: text.replace("a=fingerprint:sha-256", "a=fingerprint:md5"),
        lambda text: text[: text.index("m=")],
        lambda text: "",
    ],
    ids=["no password", "weak fingerprint", "no sections", "empty"],
)
def test_offers_that_cannot_be_answered(change) -> None:
    with pytest.raises(ValueError):
        answer(change(offer("ffmpeg-whip")))


@given(st.data())
def test_a_mangled_offer_is_answered_or_refused(data: st.DataObject) -> None:
    lines = offer(data.draw(st.sampled_from(OFFERS))).split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(lines) - 1))
        if data.draw(st.booleans()):
            del lines[where]
            lines = lines or [""]
        else:
            lines.insert(data.draw(st.integers(0, len(lines))), lines[where])
    try:
        result = answer("\r\n".join(lines))
    except ValueError:
        return
    assert sdp.parse(result.sdp) == result.description
