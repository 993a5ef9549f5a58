"""Session descriptions: a round trip, and only ValueError for other text."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import sdp
from sfu.formats.sdp.parse import remembered

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "sdp").glob("*.sdp"))

_TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_.+", min_size=1, max_size=12)
_RID = st.text("abcXYZ019-_", min_size=1, max_size=8)
_LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=30)
_WORD = st.text("abcxyz019.:-/{}%$[]\u00e9", min_size=1, max_size=16)
_PAYLOAD_TYPE = st.integers(0, 127)
_SSRC = st.integers(0, 2**32 - 1)
_PORT = st.integers(0, 65535)
_DIRECTION = st.sampled_from(sdp.Direction)
_ICE = st.text("abcXYZ019+/", min_size=22, max_size=40)


def some(strategy: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.lists(strategy, max_size=most).map(tuple)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


_FINGERPRINT = st.builds(
    sdp.Fingerprint,
    st.sampled_from(["sha-256", "sha-384", "sha-512", "sha-1"]),
    st.binary(min_size=1, max_size=64).map(lambda raw: raw.hex(":").upper()),
)
_TRANSPORT = st.builds(
    sdp.TransportParameters,
    maybe(_ICE),
    maybe(_ICE),
    maybe(_LINE),
    some(_FINGERPRINT),
    maybe(st.sampled_from(sdp.Setup)),
)
_EXTENSION = st.builds(sdp.ExtensionMap, st.integers(1, 4351), _WORD, maybe(_DIRECTION), _LINE)
# Names with fields of their own would not come back as attributes.
_ATTRIBUTE = st.builds(sdp.Attribute, _TOKEN.map(lambda name: "x-" + name), maybe(_LINE))
_STREAM = st.lists(st.builds(sdp.SimulcastStream, _RID, st.booleans()), min_size=1, max_size=2).map(tuple)
_SIMULCAST = st.builds(sdp.Simulcast, some(_STREAM), some(_STREAM)).filter(lambda one: one.send or one.receive)
_CANDIDATE = st.builds(
    sdp.Candidate,
    foundation=_TOKEN,
    component=st.integers(1, 256),
    transport=st.sampled_from(["udp", "tcp"]),
    priority=_SSRC,
    address=st.sampled_from(["192.0.2.1", "2001:db8::1", "x-y.local"]),
    port=_PORT,
    type=st.sampled_from(["host", "srflx", "prflx", "relay"]),
    related_address=maybe(st.just("192.0.2.7")),
    related_port=maybe(_PORT),
    extensions=some(st.tuples(st.sampled_from(["generation", "tcptype", "network-cost"]), _WORD)),
)
_SECTION = st.builds(
    sdp.MediaSection,
    kind=st.sampled_from(["audio", "video", "application"]),
    port=_PORT,
    protocol=st.sampled_from(["UDP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP"]),
    formats=some(_PAYLOAD_TYPE.map(str)),
    direction=maybe(_DIRECTION),
    connection=maybe(st.just("IN IP4 0.0.0.0")),
    transport=_TRANSPORT,
    rtp_maps=some(st.builds(sdp.RtpMap, _PAYLOAD_TYPE, _TOKEN, st.integers(1, 2**31 - 1), st.integers(1, 255))),
    parameters=some(st.builds(sdp.FormatParameters, _PAYLOAD_TYPE, _LINE)),
    feedback=some(st.builds(sdp.Feedback, maybe(_PAYLOAD_TYPE), st.sampled_from(["nack", "nack pli", "transport-cc"]))),
    extensions=some(_EXTENSION),
    extmap_allow_mixed=st.booleans(),
    rids=some(st.builds(sdp.Rid, _RID, st.booleans(), _LINE)),
    simulcast=maybe(_SIMULCAST),
    msids=some(st.builds(sdp.Msid, _WORD, maybe(_WORD))),
    ssrcs=some(st.builds(sdp.SsrcAttribute, _SSRC, _TOKEN, maybe(_LINE))),
    ssrc_groups=some(st.builds(sdp.SsrcGroup, st.sampled_from(["FID", "SIM"]), some(_SSRC))),
    candidates=some(_CANDIDATE),
    end_of_candidates=st.booleans(),
    rtcp_mux=st.booleans(),
    rtcp_rsize=st.booleans(),
    bundle_only=st.booleans(),
    attributes=some(_ATTRIBUTE),
)


@st.composite
def _sessions(draw: st.DrawFn) -> sdp.SessionDescription:
    sections = draw(st.lists(_SECTION, max_size=3))
    mids = draw(
        st.lists(maybe(_TOKEN), min_size=len(sections), max_size=len(sections), unique_by=lambda m: m or object())
    )
    media = tuple(replace(section, mid=mid) for section, mid in zip(sections, mids, strict=True))
    return sdp.SessionDescription(
        origin=sdp.Origin(
            draw(_TOKEN), str(draw(st.integers(0, 2**63))), draw(_SSRC), draw(st.sampled_from(["192.0.2.1", "::1"]))
        ),
        name=draw(_LINE),
        connection=draw(maybe(st.just("IN IP4 0.0.0.0"))),
        groups=draw(some(st.builds(sdp.Group, st.sampled_from(["BUNDLE", "LS"]), some(_TOKEN)))),
        ice_lite=draw(st.booleans()),
        extmap_allow_mixed=draw(st.booleans()),
        direction=draw(maybe(_DIRECTION)),
        transport=draw(_TRANSPORT),
        extensions=draw(some(_EXTENSION)),
        attributes=draw(some(_ATTRIBUTE)),
        media=media,
    )


@given(_sessions())
def test_what_is_serialized_parses_to_the_same(description: sdp.SessionDescription) -> None:
    assert sdp.parse(sdp.serialize(description)) == description


@given(st.text())
def test_arbitrary_text_is_a_value_or_value_error(text: str) -> None:
    for candidate in (text, "v=0\r\n" + text, "v=0\r\no=- 1 1 IN IP4 ::\r\na=" + text):
        try:
            sdp.parse(candidate)
        except ValueError:
            continue


@given(st.data())
def test_a_mangled_offer_is_a_value_or_value_error(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(FIXTURES)).read_text(encoding="utf-8")
    lines = text.split("\r\n")
    where = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[where])))
    lines[where] = (
        lines[where][:at] + data.draw(st.text(max_size=5)) + lines[where][at + data.draw(st.integers(0, 6)) :]
    )
    if data.draw(st.booleans()):
        lines.insert(data.draw(st.integers(0, len(lines))), lines[where])
    try:
        description = sdp.parse("\r\n".join(lines))
    except ValueError:
        return
    assert sdp.parse(sdp.serialize(description)) == description


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_recorded_descriptions_lose_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    description = sdp.parse(text)
    assert sdp.parse(sdp.serialize(description)) == description
    written = sdp.serialize(description).lower()
    passed_over = ("t=", "b=", "a=candidate")
    for line in text.lower().splitlines():
        # fmtp of PCMU's like are written with their one channel left out
        if not line.startswith(passed_over):
            assert line.removesuffix("/1").rstrip() in written, line


def test_lines_may_end_by_line_feed_alone() -> None:
    text = FIXTURES[0].read_text(encoding="utf-8")
    assert sdp.parse(text.replace("\r\n", "\n")) == sdp.parse(text)


HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=1\r\n",
        "v=0\r\ns=-\r\n",
        HEAD + "x\r\n",
        HEAD + "a=mid:a\rb\r\n",
        HEAD + "s=\0\r\n",
        HEAD + "m=audio\r\n",
        HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF\r111\r\n",
        HEAD + "m=audio 65536 UDP/TLS/RTP/SAVPF 0\r\n",
        HEAD + "m=audio ٣ UDP/TLS/RTP/SAVPF 0\r\n",
        HEAD + "m=audio -1 UDP/TLS/RTP/SAVPF 0\r\n",
        AUDIO + "a=rtpmap:128 opus/48000/2\r\n",
        AUDIO + "a=rtpmap:111 opus\r\n",
        AUDIO + "a=rtpmap:111 opus/0\r\n",
        AUDIO + "a=extmap:0 urn:x\r\n",
        AUDIO + "a=extmap:1\r\n",
        AUDIO + "a=extmap:1/sideways urn:x\r\n",
        AUDIO + "a=ssrc:4294967296 cname:x\r\n",
        AUDIO + "a=ssrc:" + "9" * 5000 + " cname:x\r\n",
        AUDIO + "a=ssrc-group:FID 1 -2\r\n",
        AUDIO + "a=fingerprint:sha-256 AB:C\r\n",
        AUDIO + "a=setup:holdconn\r\n",
        AUDIO + "a=ice-ufrag:abc\r\n",
        AUDIO + "a=ice-pwd:short\r\n",
        AUDIO + "a=ice-ufrag:" + "a" * 257 + "\r\n",
        AUDIO + "a=rid:a b c\r\n",
        AUDIO + "a=rid:ä send\r\n",
        AUDIO + "a=simulcast:send\r\n",
        AUDIO + "a=simulcast:send a send b\r\n",
        AUDIO + "a=candidate:1 1 udp 1 192.0.2.1 9 type host\r\n",
        AUDIO + "a=mid:" + "m" * 65 + "\r\n",
        AUDIO + "a=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n",
    ],
)
def test_malformed_descriptions_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        sdp.parse(text)


def test_sections_of_a_kind_share_what_is_parsed() -> None:
    path = next(path for path in FIXTURES if path.stem == "chromium-subscribe-answer")
    sections = [section for section in sdp.parse(path.read_text(encoding="utf-8")).media if section.kind == "audio"]
    assert [section.mid for section in sections] == ["0", "1", "2"]
    assert all(section.rtp_maps is sections[0].rtp_maps for section in sections)


def test_bounds_are_kept() -> None:
    section = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    assert len(sdp.parse(HEAD + section * sdp.MAX_SECTIONS).media) == sdp.MAX_SECTIONS
    with pytest.raises(ValueError, match="too many"):
        sdp.parse(HEAD + section * (sdp.MAX_SECTIONS + 1))
    with pytest.raises(ValueError, match="too long"):
        sdp.parse(HEAD + "s=" + "é" * (sdp.MAX_BYTES // 2))


def test_a_value_with_a_line_break_is_not_serialized() -> None:
    with pytest.raises(ValueError, match="line break"):
        sdp.serialize(sdp.SessionDescription(name="a\r\na=ice-lite"))


def test_chromium_simulcast_is_read_as_meant() -> None:
    path = next(path for path in FIXTURES if path.stem == "chromium-simulcast")
    description = sdp.parse(path.read_text(encoding="utf-8"))
    audio, video, application = description.media
    assert description.bundle == ("0", "1", "2")
    assert description.extmap_allow_mixed
    assert audio.rtp_maps[0] == sdp.RtpMap(111, "opus", 48000, 2)
    assert audio.parameters[0].values == {"minptime": "10", "useinbandfec": "1"}
    assert [rid.id for rid in video.rids if rid.sends] == ["q", "h", "f"]
    assert video.simulcast is not None
    assert [streams[0].rid for streams in video.simulcast.send] == ["q", "h", "f"]
    assert sdp.Feedback(96, "nack pli") in video.feedback
    assert video.transport.setup is sdp.Setup.ACTPASS
    assert application.formats == ("webrtc-datachannel",)
    assert description.direction_of(video) is sdp.Direction.SENDONLY
    assert description.direction_of(application) is sdp.Direction.SENDRECV


def test_firefox_fid_groups_are_read() -> None:
    path = next(path for path in FIXTURES if path.stem == "firefox-simulcast")
    video = sdp.parse(path.read_text(encoding="utf-8")).media[1]
    assert [group.semantics for group in video.ssrc_groups] == ["FID"] * 3
    assert all(len(group.ssrcs) == 2 for group in video.ssrc_groups)


def test_short_lines_are_parsed_once_and_long_ones_are_not_kept() -> None:
    parsed: list[str] = []

    def read(line: str) -> int:
        parsed.append(line)
        return len(line)

    remembering = remembered(read)
    lines = ["111 opus/48000/2", "1" * 1000]
    assert [remembering(line) for line in lines * 2] == [16, 1000, 16, 1000]
    assert parsed == [*lines, lines[1]]
