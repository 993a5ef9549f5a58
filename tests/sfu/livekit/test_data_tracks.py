"""Data tracks: who publishes, who subscribes, and whose packets reach whom."""

import pytest
from livekit.protocol import rtc

from sfu.api import signaling
from sfu.api.cascade_link import LinkData
from sfu.api.join_token import Grants
from sfu.api.livekit import LiveKitAdmission
from sfu.api.refusal import Refused
from sfu.api.signaling_values import DataTrack, Permitted
from sfu.livekit.session import LiveKitSession
from sfu.rooms import data_routing
from sfu.rooms.dialect import DataPacket
from tests.sfu.rooms.stage import MS, Person, Stage

PACKET = bytes([0x18, 0, 0, 7]) + bytes(8) + b"point cloud"
REASONS = rtc.RequestResponse.Reason


class Client:
    """A person with LiveKit's protocol."""

    def __init__(self, stage: Stage, who: str, grants: Grants | None = None) -> None:
        self.stage = stage
        self.session = LiveKitSession(LiveKitAdmission())
        self.person: Person = stage.join(who, grants, dialect=self.session)
        self.read = 0
        self.take()

    def take(self) -> list[rtc.SignalResponse]:
        """Return what the client is told since the last call."""
        told, self.read = self.person.told[self.read :], len(self.person.told)
        return [response for message in told for response in self.session.tell(message)]

    def ask(self, **request: object) -> list[rtc.SignalResponse]:
        """Return all responses to a request."""
        said = self.session.take(rtc.SignalRequest(**request))  # type: ignore[arg-type]
        replies = list(self.session.replies)
        for message in said:
            self.stage.say(self.person, message)
        return [*replies, *self.take(), *self.session.done()]

    def publish(self, handle: int = 7, name: str = "lidar") -> rtc.SignalResponse:
        return self.ask(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=handle, name=name))[-1]

    def subscribe(self, sid: str, *, on: bool = True) -> dict[int, str]:
        update = rtc.UpdateDataSubscription.Update(track_sid=sid, subscribe=on)
        return handles(self.ask(update_data_subscription=rtc.UpdateDataSubscription(updates=[update]))[0])


def handles(response: rtc.SignalResponse) -> dict[int, str]:
    told = response.data_track_subscriber_handles.sub_handles
    return {handle: one.track_sid for handle, one in told.items()}


def test_a_published_track_is_shown_subscribed_and_gone() -> None:
    stage = Stage()
    ann, bob = Client(stage, "ann"), Client(stage, "bob")
    made = ann.publish().publish_data_track_response.info
    assert (made.pub_handle, made.name, made.sid[:4]) == (7, "lidar", "DTR_")
    (shown,) = [one for told in bob.take() for one in told.update.participants]
    assert list(shown.data_tracks) == [made]
    assert shown.is_publisher
    late = Client(stage, "eve")
    told = late.session.tell(late.person.of(signaling.RoomInfo)[0])[0].join.other_participants
    assert [track.sid for one in told for track in one.data_tracks] == [made.sid]

    (handle,) = bob.subscribe(made.sid)
    packet = ann.session.read_packet(PACKET)
    assert packet is not None
    assert bob.session.write_packet(packet) == PACKET[:2] + handle.to_bytes(2) + PACKET[4:]
    assert bob.session.write_packet(packet._replace(participant="eve")) is None
    assert late.session.write_packet(packet) is None
    assert ann.session.read_packet(PACKET.replace(b"\7", b"\6", 1)) is None
    with pytest.raises(ValueError, match="too short"):
        ann.session.read_packet(PACKET[:11])

    assert bob.subscribe(made.sid, on=False) == {}
    bob.subscribe(made.sid)
    gone = ann.ask(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=7))[-1]
    assert gone.unpublish_data_track_response.info == made
    assert [handles(one) for one in bob.take() if one.HasField("data_track_subscriber_handles")] == [{}]
    assert bob.session.write_packet(packet) is None


def test_what_may_not_be_published_is_refused_with_a_reason() -> None:
    stage = Stage()
    ann = Client(stage, "ann")
    ann.publish()
    for handle, name, reason in (
        (0, "x", REASONS.INVALID_HANDLE),
        (65_536, "x", REASONS.INVALID_HANDLE),
        (8, "", REASONS.INVALID_NAME),
        (7, "x", REASONS.DUPLICATE_HANDLE),
        (8, "lidar", REASONS.DUPLICATE_NAME),
    ):
        refusal = ann.publish(handle, name).request_response
        assert (refusal.reason, refusal.publish_data_track.name) == (reason, name)
    silent = Client(stage, "bob", Grants(data=False))
    refused = silent.session.take(
        rtc.SignalRequest(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=1, name="x"))
    )
    with pytest.raises(Refused, match="may not send data") as error:
        stage.say(silent.person, refused[0])
    (answer,) = silent.session.tell(error.value.message())
    assert (answer.request_response.reason, answer.request_response.publish_data_track.pub_handle) == (
        REASONS.NOT_ALLOWED,
        1,
    )
    assert silent.session.done() == []
    (track,) = stage.node.rooms["r"].participants["ann"].data_tracks
    with pytest.raises(Refused, match="has this id"):
        stage.say(stage.join("eve"), signaling.DataTracks(tracks=(DataTrack(track=track.track, name="mine"),)))


def test_packets_reach_subscribers_whom_the_publisher_allows() -> None:
    stage = Stage()
    ann, bob, eve = (Client(stage, who) for who in ("ann", "bob", "eve"))
    sid = ann.publish().publish_data_track_response.info.sid
    room, counters = stage.node.rooms["r"], stage.node.context.counters
    for one in (bob, eve):
        one.take()
        one.subscribe(sid)

    def delivered() -> int:
        """Return how many deliveries a packet from another node makes; nobody has opened a channel."""
        before = counters["data_dropped_no_channel"]
        said = LinkData(participant="ann", track=sid, payload=PACKET, reliable=False)
        data_routing.relayed(room, said, 0, stage.now)
        return counters["data_dropped_no_channel"] - before

    assert delivered() == 2
    stage.say(ann.person, signaling.Permit(everyone=False, to=(Permitted(participant="bob", tracks=(sid,)),)))
    assert delivered() == 1
    stage.say(ann.person, signaling.Leave())
    stage.run(100 * MS)
    assert delivered() == 0
    assert bob.session.write_packet(DataPacket("ann", sid, PACKET)) is not None  # until it is told
    bob.take()
    assert bob.session.write_packet(DataPacket("ann", sid, PACKET)) is None
