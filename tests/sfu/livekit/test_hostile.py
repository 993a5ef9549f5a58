"""Whatever a client sends, a session answers with valid messages or a refusal, and keeps little state."""

import gzip
import urllib.parse
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from control.identifiers import new_id
from sfu.api.join_token import Grants, Source
from sfu.api.livekit import LiveKitAdmission
from sfu.api.refusal import Refused
from sfu.api.signaling import Message, Offer, RoomInfo, TrackPublished
from sfu.api.signaling_values import CaptionsState, ParticipantInfo, RecordingState, TrackInfo
from sfu.formats import dcep
from sfu.formats.data_message import DataMessage
from sfu.livekit import data_packets, names, parameters
from sfu.livekit.announced_tracks import MAX_ADDED
from sfu.livekit.session import LiveKitSession
from sfu.peers.context import random_id

TEXT = st.text(max_size=30)
SIDS = st.sampled_from(["", "TR_t-1", "TR_", "nonsense"]) | TEXT
ADDED = st.builds(
    rtc.AddTrackRequest,
    cid=TEXT,
    name=TEXT,
    sid=SIDS,
    type=st.integers(0, 2),
    source=st.integers(0, 4),
    width=st.integers(0, 2**32 - 1),
    height=st.integers(0, 2**32 - 1),
    simulcast_codecs=st.lists(st.builds(rtc.SimulcastCodec, codec=TEXT, cid=TEXT), max_size=3),
)
DESCRIPTION = st.builds(rtc.SessionDescription, type=TEXT, sdp=TEXT, id=st.integers(0, 2**32 - 1))
REQUESTS = st.one_of(
    st.builds(rtc.SignalRequest, add_track=ADDED),
    st.builds(rtc.SignalRequest, offer=DESCRIPTION),
    st.builds(rtc.SignalRequest, answer=DESCRIPTION),
    st.builds(rtc.SignalRequest, mute=st.builds(rtc.MuteTrackRequest, sid=SIDS, muted=st.booleans())),
    st.builds(rtc.SignalRequest, subscription=st.builds(rtc.UpdateSubscription, track_sids=st.lists(SIDS, max_size=3))),
    st.builds(
        rtc.SignalRequest,
        track_setting=st.builds(
            rtc.UpdateTrackSettings, track_sids=st.lists(SIDS, max_size=3), width=st.integers(0, 2**32 - 1)
        ),
    ),
    st.builds(
        rtc.SignalRequest,
        publish_data_track_request=st.builds(
            rtc.PublishDataTrackRequest, pub_handle=st.integers(0, 2**32 - 1), name=TEXT
        ),
    ),
    st.builds(
        rtc.SignalRequest,
        update_data_subscription=st.builds(
            rtc.UpdateDataSubscription,
            updates=st.lists(
                st.builds(rtc.UpdateDataSubscription.Update, track_sid=TEXT, subscribe=st.booleans()), max_size=3
            ),
        ),
    ),
    st.builds(
        rtc.SignalRequest, update_metadata=st.builds(rtc.UpdateParticipantMetadata, name=TEXT, request_id=st.just(7))
    ),
)


def joined(**grants: Any) -> LiveKitSession:
    """Return a session of somebody who is in a room with somebody else."""
    session = LiveKitSession(LiveKitAdmission(room_name="Room"))
    session.tell(
        RoomInfo(
            v=1,
            room="r",
            participant="me",
            grants=Grants(**grants),
            resume="secret",
            participants=[
                ParticipantInfo(participant="me", name="Me", identity="mine"),
                ParticipantInfo(participant="other", name="Other"),
            ],
            tracks=[TrackInfo(track="t-1", participant="other", source="camera", media="video", codec="VP8")],
            recording=RecordingState(active=False),
            captions=CaptionsState(available=False),
            opened_at=0,
            now=0,
        )
    )
    return session


@given(st.lists(st.binary(max_size=200) | REQUESTS.map(lambda request: request.SerializeToString()), max_size=8))
def test_requests_lead_to_messages_or_a_refusal(requests: list[bytes]) -> None:
    session = joined()
    for request in requests:
        try:
            asked = session.receive(request)
        except Refused as refused:
            assert not refused.fatal
            session.tell(refused.message())
        else:
            assert all(isinstance(message, Message) for message in asked)


def test_announced_tracks_are_bounded() -> None:
    session = joined()
    for number in range(MAX_ADDED):
        session.receive(rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid=str(number))).SerializeToString())
    with pytest.raises(Refused):
        session.receive(rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="more")).SerializeToString())


def test_schemas_of_data_tracks_are_refused_with_an_answer() -> None:
    session, blob = joined(), rtc.GetDataBlobRequest(request_id=7)
    session.receive(rtc.SignalRequest(get_data_blob_request=blob).SerializeToString())
    assert [reply.request_response.request_id for reply in session.replies] == [7]


def wrapped(data: bytes, *, packed: bool = True) -> str:
    """Return a join request as a query has it."""
    if packed:
        kind = rtc.WrappedJoinRequest.Compression.GZIP
        request = rtc.WrappedJoinRequest(compression=kind, join_request=gzip.compress(data))
    else:
        request = rtc.WrappedJoinRequest(join_request=data)
    return urllib.parse.urlencode({"access_token": "t", "join_request": urlsafe_b64encode(request.SerializeToString())})


@given(st.binary(max_size=200), st.booleans(), st.lists(ADDED, max_size=3), DESCRIPTION, st.integers(0, 300))
def test_join_requests_are_read_or_refused(
    noise: bytes, packed: bool, added: list[rtc.AddTrackRequest], offer: rtc.SessionDescription, cut: int
) -> None:
    settings = rtc.ConnectionSettings(auto_subscribe=packed)
    join = rtc.JoinRequest(connection_settings=settings, add_track_requests=added, publisher_offer=offer)
    session = joined()
    read = parameters.read(wrapped(join.SerializeToString(), packed=packed)).join
    assert read == join
    for request in session.opening(join):
        try:
            session.take(request)
        except Refused as refused:
            assert not refused.fatal
    for query in (wrapped(noise), wrapped(noise, packed=False), wrapped(join.SerializeToString())[: -cut or None]):
        try:
            parameters.read(query, needs_join=True)
        except ValueError as error:
            assert "join" in str(error)


def test_a_join_request_is_bounded_and_required() -> None:
    for query, reason in (
        (wrapped(bytes(parameters.MAX_JOIN_REQUEST_BYTES + 1)), "join request too large"),
        ("access_token=t", "join_request is required"),
        ("join_request=!", "cannot base64 decode wrapped join request"),
        ("join_request=" + "A" * parameters.MAX_QUERY_BYTES, "the query is too long"),
    ):
        with pytest.raises(ValueError, match=reason):
            parameters.read(query, needs_join=True)


def announce(session: LiveKitSession, cid: str, kind: int) -> str:
    """Announce a track, and return the id that it is given."""
    session.receive(rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid=cid, type=kind)).SerializeToString())
    return session.replies[0].track_published.track.sid


def offered(session: LiveKitSession, **described: str) -> list[tuple[str, str]]:
    """Offer sections of a kind that describe tracks by these ids; return mids and tracks."""
    sections = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{kind}\r\na=msid:s {track}\r\n" for kind, track in described.items()
    ]
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" + "".join(sections)
    request = rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp))
    (offer,) = session.receive(request.SerializeToString())
    assert isinstance(offer, Offer)
    return [(track.mid, f"TR_{track.track}") for track in offer.tracks]


def test_a_track_described_by_another_id_is_the_one_that_waits() -> None:
    session = joined(publish=tuple(Source))
    video, audio = announce(session, "v", 1), announce(session, "a", 0)
    first = offered(session, audio="{x}", video="{y}")
    assert first == [("audio", audio), ("video", video)]
    assert offered(session, audio="{x}", video="{y}") == first
    assert offered(session, audio="{x}", video="unknown") == first[:1]


def test_tracks_come_and_go_without_end() -> None:
    session = joined(publish=tuple(Source))
    for number in range(2 * MAX_ADDED):
        track = announce(session, str(number), 0)
        assert offered(session, audio=str(number)) == [("audio", track)]


@given(st.binary(max_size=200), TEXT)
def test_packets_are_read_or_refused(data: bytes, topic: str) -> None:
    session = joined()
    try:
        message = session.read_data(data)
    except ValueError:
        message = None
    if message is not None:
        assert session.write_data(DataMessage(message.payload, message.topic, ("other",)), reliable=True) is not None
    session.write_data(DataMessage(data, topic, ("nobody",)), reliable=False)
    session.write_data(DataMessage(data, data_packets.TOPIC, ("other",)), reliable=False)


def test_chat_is_put_together_and_bounded() -> None:
    session = joined()

    def say(**value: object) -> list[str]:
        message = session.read_data(models.DataPacket(**value).SerializeToString())
        return session.chat_of(message) if message is not None else []

    stream, chunk, trailer = models.DataStream.Header, models.DataStream.Chunk, models.DataStream.Trailer
    assert say(stream_header=stream(stream_id="a", topic="lk.chat")) == []
    assert say(stream_header=stream(stream_id="b", topic="other")) == []
    for content in (b"He", b"llo"):
        for name in "ab":
            assert say(stream_chunk=chunk(stream_id=name, content=content)) == []
    assert say(stream_trailer=trailer(stream_id="b")) == []
    assert say(stream_trailer=trailer(stream_id="a")) == ["Hello"]
    assert say(stream_header=stream(stream_id="c", topic="lk.chat")) == []
    for _ in range(3):
        say(stream_chunk=chunk(stream_id="c", content=bytes(8000)))
    assert say(stream_trailer=trailer(stream_id="c")) == []
    assert say(chat_message=models.ChatMessage(message="Hi")) == ["Hi"]


@given(st.binary(max_size=40))
def test_openings_of_channels_are_read_or_refused(data: bytes) -> None:
    try:
        opening = dcep.parse(data)
    except ValueError:
        return
    assert opening is None or dcep.parse(dcep.serialize(opening)) == opening


def test_a_packet_goes_to_whom_its_identities_name_as_its_sender() -> None:
    session = joined()
    user = models.UserPacket(payload=b"hi", topic="t", participant_identity="somebody else")
    packet = models.DataPacket(user=user, destination_identities=["other"])
    message = session.read_data(packet.SerializeToString())
    assert message == DataMessage(b"hi", "t", ("other",))
    packet.ClearField("destination_identities")
    packet.destination_identities.append("stranger")
    assert session.read_data(packet.SerializeToString()) is None

    written = session.write_data(DataMessage(b"hi", "t", ("me",)), reliable=True)
    assert written is not None
    passed = models.DataPacket.FromString(written)
    assert (passed.participant_identity, passed.user.participant_identity) == ("mine", "mine")


def test_tracks_are_published_under_the_id_that_was_announced() -> None:
    session = joined()
    session.receive(rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="cam", type=1, source=1)).SerializeToString())
    (reply,) = session.replies
    sid = reply.track_published.track.sid
    sdp = (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=msid:- cam\r\n"
    )
    offer = rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=3))
    (asked,) = session.receive(offer.SerializeToString())
    assert [(track.mid, f"TR_{track.track}") for track in asked.tracks] == [("0", sid)]


@pytest.mark.parametrize(
    ("said", "codec"), [({}, "red"), ({"disable_red": True}, ""), ({"encryption": models.Encryption.Type.GCM}, "")]
)
def test_sound_is_to_be_sent_in_red_unless_its_client_says_no(said: dict[str, Any], codec: str) -> None:
    session = joined()
    request = rtc.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE, **said)
    session.receive(rtc.SignalRequest(add_track=request).SerializeToString())
    sdp = (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=msid:- mic\r\n"
    )
    offer = rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=3))
    (asked,) = session.receive(offer.SerializeToString())
    assert [track.codec for track in asked.tracks] == [codec]


def test_others_see_a_new_track() -> None:
    told = joined().tell(
        TrackPublished(
            track=TrackInfo(
                track="t-2", participant="other", source="screen", media="video", codec="VP9", name="Slides"
            )
        )
    )
    (participant,) = told[0].update.participants
    assert [(track.sid, track.name, track.mime_type) for track in participant.tracks][-1] == (
        "TR_t-2",
        "Slides",
        "video/VP9",
    )


def test_nobody_publishes_what_is_not_granted() -> None:
    session = joined(publish=())
    session.receive(rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="cam", type=1, source=1)).SerializeToString())
    (reply,) = session.replies
    assert reply.request_response.reason == rtc.RequestResponse.Reason.NOT_ALLOWED


def test_a_stream_id_fits_what_descriptions_allow() -> None:
    who, track = new_id("participant"), random_id("t")
    sid = names.participant_sid(who)
    assert len(f"{sid}|{names.track_sid(track)}") <= 64
    assert names.participant_of(sid) == who
    assert names.participant_of(names.participant_sid("ann")) == "ann"
