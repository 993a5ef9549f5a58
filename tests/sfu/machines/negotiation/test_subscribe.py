"""Slot offers: fixed payload types and ids, growth, and real browsers' answers to them."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfu.formats import sdp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.negotiation.agreement import DtlsRole, LocalTransport
from sfu.machines.negotiation.subscribe import EXTENSION_IDS, MAX_SLOTS, PAYLOAD_TYPES, SubscribeNegotiation

FIXTURES = Path(__file__).parents[3] / "fixtures" / "sdp"
LOCAL = LocalTransport(
    ufrag="localufr",
    pwd="localpassword0123456789abcdef",
    fingerprints=(sdp.Fingerprint("sha-256", ":".join(["AB"] * 32)),),
    candidates=(sdp.Candidate("1", 1, "udp", 2130706431, "192.0.2.1", 8810, "host"),),
)


def negotiation(audio: int = 3, video: int = 2) -> SubscribeNegotiation:
    made = SubscribeNegotiation(11)
    for index in range(audio):
        made.add_slot("audio", 1000 + index)
    for index in range(video):
        made.add_slot("video", 2000 + 2 * index, 2001 + 2 * index)
    return made


def recorded(browser: str) -> str:
    return (FIXTURES / f"{browser}-subscribe-answer.sdp").read_text(encoding="utf-8")


def test_the_offer_says_what_slots_are() -> None:
    text = negotiation().offer(LOCAL)
    description = sdp.parse(text)
    assert description.ice_lite
    assert description.bundle == ("0", "1", "2", "3", "4")
    audio, video = description.media[0], description.media[3]
    assert audio.formats == ("111",)
    assert video.formats == ("96", "97", "98", "99", "102", "103", "45", "46")
    assert audio.msids[0].stream == video.msids[0].stream == "slot-0"
    assert {line.value for line in audio.ssrcs + video.ssrcs} == {"slot-0"}
    assert video.ssrc_groups == (sdp.SsrcGroup("FID", (2000, 2001)),)
    ids = {line.uri: line.id for section in description.media for line in section.extensions}
    assert len(ids) == len(set(ids.values()))
    for section in description.media:
        assert section.direction is sdp.Direction.SENDONLY
        assert section.transport.setup is sdp.Setup.ACTPASS
        assert section.rtcp_mux
        assert section.rtcp_rsize
    assert audio.candidates == LOCAL.candidates
    assert not video.candidates


def test_chromium_takes_everything() -> None:
    made = negotiation()
    made.offer(LOCAL)
    result = made.apply(recorded("chromium"))
    assert all(media.accepted and media.direction is sdp.Direction.SENDONLY for media in result.media)
    video = result.media[3]
    assert {payload.codec for payload in video.payloads.values()} == {*PAYLOAD_TYPES, Codec.RTX} - {Codec.OPUS}
    assert video.payloads[97].repairs == 96
    assert video.payloads[96].feedback == {"nack", "nack pli", "transport-cc", "goog-remb"}
    assert video.extensions[7] is Extension.DEPENDENCY_DESCRIPTOR
    assert result.remote.role is DtlsRole.SERVER
    assert result.remote.fingerprints[0].algorithm == "sha-256"


def test_firefox_has_no_h264() -> None:
    made = negotiation()
    made.offer(LOCAL)
    video = made.apply(recorded("firefox")).media[3]
    assert {payload.codec for payload in video.payloads.values()} == {Codec.VP8, Codec.VP9, Codec.AV1, Codec.RTX}
    assert all(EXTENSION_IDS[extension] == number for number, extension in video.extensions.items())
    assert Extension.ABS_CAPTURE_TIME not in video.extensions.values()


def test_growth_keeps_earlier_slots_and_raises_the_version() -> None:
    made = negotiation()
    first = sdp.parse(made.offer(LOCAL))
    assert not made.changed
    made.add_slot("video", 5000, 5001)
    assert made.changed
    with pytest.raises(ValueError, match="in flight"):
        made.offer(LOCAL)
    assert len(made.apply(recorded("chromium")).media) == 5  # the sixth was not in that offer
    second = sdp.parse(made.offer(LOCAL))
    assert second.media[:5] == first.media
    assert second.media[5].msids[0].stream == "slot-2"
    assert second.origin.version == first.origin.version + 1
    assert second.origin.session_id == first.origin.session_id


def changed(change) -> str:
    return sdp.serialize(change(sdp.parse(recorded("chromium"))))


def with_section(description: sdp.SessionDescription, index: int, **fields: object) -> sdp.SessionDescription:
    media = list(description.media)
    media[index] = replace(media[index], **fields)
    return replace(description, media=tuple(media))


def test_a_rejected_or_inactive_section_is_told() -> None:
    made = negotiation()
    made.offer(LOCAL)
    text = changed(lambda answer: with_section(answer, 3, port=0))
    text = sdp.serialize(with_section(sdp.parse(text), 4, direction=sdp.Direction.INACTIVE))
    media = made.apply(text).media
    assert (media[3].refused, media[3].payloads) == ("rejected_by_remote", {})
    assert media[4].accepted
    assert media[4].direction is sdp.Direction.INACTIVE


def test_sections_of_a_kind_may_accept_different_codecs() -> None:
    def accept(description: sdp.SessionDescription) -> sdp.SessionDescription:
        return with_section(description, 4, formats=("98",))

    made = negotiation()
    made.offer(LOCAL)
    *_, first, second = made.apply(changed(accept)).media
    assert 96 in first.payloads
    assert second.payloads.keys() == {98}


def test_an_offer_after_new_credentials_has_them_in_every_section() -> None:
    made = negotiation()
    made.offer(LOCAL)
    made.abandon()
    description = sdp.parse(made.offer(replace(LOCAL, ufrag="restarted")))
    assert {section.transport.ice_ufrag for section in description.media} == {"restarted"}


def test_a_passive_answer_makes_us_client() -> None:
    made = negotiation()
    made.offer(LOCAL)
    assert made.apply(recorded("chromium").replace("setup:active", "setup:passive")).remote.role is DtlsRole.CLIENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        recorded("chromium").replace("setup:active", "setup:actpass"),
        recorded("chromium").replace("a=mid:1", "a=mid:7"),
        recorded("chromium").replace("m=video", "m=audio"),
        recorded("chromium")[: recorded("chromium").rindex("m=video")],
        recorded("chromium").replace("a=ice-ufrag", "a=x-ice-ufrag"),
        recorded("chromium").replace("a=fingerprint", "a=x-fingerprint"),
    ],
)
def test_an_answer_to_something_else_leaves_the_offer_in_flight(text: str) -> None:
    made = negotiation()
    made.offer(LOCAL)
    with pytest.raises(ValueError):
        made.apply(text)
    made.apply(recorded("chromium"))
    with pytest.raises(ValueError, match="no offer"):
        made.apply(recorded("chromium"))


def test_slots_are_bounded_and_their_ssrcs_distinct() -> None:
    made = SubscribeNegotiation(11)
    with pytest.raises(ValueError, match="no slots"):
        made.offer(LOCAL)
    made.add_slot("video", 1, 2)
    for ssrc, rtx in ((2, None), (3, 1), (4, 4)):
        with pytest.raises(ValueError, match="the SSRC is in use"):
            made.add_slot("video", ssrc, rtx)
    with pytest.raises(ValueError, match="audio or video"):
        made.add_slot("text", 9)
    for index in range(MAX_SLOTS - 1):
        made.add_slot("audio", 100 + index)
    with pytest.raises(ValueError, match="too many"):
        made.add_slot("audio", 99)
    assert len(sdp.parse(made.offer(LOCAL)).media) == MAX_SLOTS


def test_an_abandoned_offer_makes_room_for_the_next() -> None:
    made = negotiation()
    made.offer(LOCAL)
    made.abandon()
    assert sdp.parse(made.offer(LOCAL)).origin.version == 2
