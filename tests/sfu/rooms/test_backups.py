"""Backup tracks: requested if a subscriber cannot decode, shown in place of the track, and stopped in the end."""

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source
from tests.sfu.rooms.cascaded import Pair
from tests.sfu.rooms.stage import (
    KEYFRAME,
    MS,
    SECOND,
    VIDEO,
    VIDEO_SSRC,
    Person,
    RtcClient,
    Stage,
    description,
    generate_credentials,
    subscribe,
    video,
)

H264 = (
    VIDEO.replace("a=rtpmap:120 VP8/90000", "a=rtpmap:120 H264/90000\r\na=fmtp:120 packetization-mode=1") + VIDEO_SSRC
)
BACKUP = VIDEO + "a=ssrc-group:FID 3001 3002\r\na=ssrc:3001 cname:x\r\na=ssrc:3002 cname:x\r\n"


class Call:
    """Ann publishes H264; Bob's answers leave H264 out. He is at another node if `far`."""

    def __init__(self, far: Pair | None = None) -> None:
        self.stage = far.near if far is not None else Stage()
        self.watched = far.far if far is not None else self.stage
        self.run = far.run if far is not None else self.stage.run
        self.ann = far.ann if far is not None else self.stage.join("ann")
        self.credentials = generate_credentials()
        self.offer([H264], [signaling_values.OfferedTrack(mid="0", source=Source.CAMERA, codec="H264")])
        self.track = self.ann.last(signaling.Answer).tracks[0].track
        self.bob = far.bob if far is not None else self.stage.join("bob")
        self.run(200 * MS)
        self.receiver = self.answer(self.bob)

    def offer(self, sections: list[str], tracks: list[signaling_values.OfferedTrack]) -> None:
        sdp = description(self.credentials, sections, "actpass")
        self.stage.say(self.ann, signaling.Offer(peer="publish", sdp=sdp, id=1, tracks=tracks))

    def answer(self, person: Person, client: RtcClient | None = None) -> RtcClient:
        """Connect without H264, or answer to a further offer so."""
        offer = person.last(signaling.Offer)
        offered = person.told[person.told.index(offer)] = signaling.Offer(
            peer="subscribe", sdp=_without_h264(offer.sdp), id=offer.id
        )
        assert "H264" not in offered.sdp
        return subscribe(self.watched, person, client)

    def send_backup(self) -> RtcClient:
        """Ann sends what she was asked for; returns her connected client."""
        self.offer(
            [H264, BACKUP],
            [
                signaling_values.OfferedTrack(mid="0", source=Source.CAMERA, codec="H264"),
                signaling_values.OfferedTrack(mid="1", source=Source.CAMERA, codec="VP8", backup_of=self.track),
            ],
        )
        return self.stage.connect(self.credentials, self.ann.last(signaling.Answer).sdp)

    def shown(self) -> list[str | None]:
        return [slot.track for slot in self.bob.last(signaling.Slots).slots if slot.track]


def _without_h264(sdp: str) -> str:
    lines = [line for line in sdp.split("\r\n") if not line.startswith(("a=rtpmap:102", "a=fmtp:102", "a=rtcp-fb:102"))]
    return "\r\n".join(line.replace(" 102 103", "") for line in lines if ":103 " not in line)


def test_a_publisher_is_asked_once_and_the_subscriber_is_told() -> None:
    call = Call()
    call.stage.run(SECOND)
    asked = call.ann.of(signaling.Backup)
    assert asked == [signaling.Backup(track=call.track, codec="VP8", wanted=True)]
    state = signaling.TrackState(track=call.track, paused=True, reason="codec_unsupported")
    assert call.bob.of(signaling.TrackState) == [state]
    assert call.shown() == []


def test_the_backup_is_shown_in_the_place_of_the_track() -> None:
    call = Call()
    sender = call.send_backup()
    call.stage.run(200 * MS)
    assert call.bob.last(signaling.TrackState) == signaling.TrackState(track=call.track, paused=False)
    assert call.shown() == [call.track]
    assert len(call.bob.of(signaling.TrackPublished)) + len(call.bob.last(signaling.RoomInfo).tracks) == 1
    for seq in range(20):
        sender.send(video(seq, KEYFRAME, 3001))
        call.stage.run(50 * MS)
    assert call.receiver.rtp
    assert {packet.payload_type for packet in call.receiver.rtp} == {96}


def test_publishers_at_another_node_are_asked_too() -> None:
    pair = Pair()
    pair.link()
    call = Call(pair)
    call.run(SECOND)
    call.answer(call.bob, call.receiver)
    call.run(SECOND)
    assert call.ann.of(signaling.Backup) == [signaling.Backup(track=call.track, codec="VP8", wanted=True)]
    assert call.bob.last(signaling.TrackState).reason == "codec_unsupported"
    sender = call.send_backup()
    call.run(SECOND)
    assert call.bob.last(signaling.TrackState) == signaling.TrackState(track=call.track, paused=False)
    assert call.shown() == [call.track]
    assert len(call.bob.of(signaling.TrackPublished)) + len(call.bob.last(signaling.RoomInfo).tracks) == 1
    for seq in range(20):
        sender.send(video(seq, KEYFRAME, 3001))
        call.run(50 * MS)
    assert {packet.payload_type for packet in call.receiver.rtp} == {96}
    call.watched.say(call.bob, signaling.Leave())
    pair.far.join("cid")  # without whom the room would be closed there
    call.run(25 * SECOND, 100 * MS)
    assert call.ann.last(signaling.Backup) == signaling.Backup(track=call.track, codec="VP8", wanted=False)


def test_who_decodes_the_track_gets_it_and_not_the_backup() -> None:
    call = Call()
    call.send_backup()
    cid = call.stage.join("cid")
    subscribe(call.stage, cid)
    call.stage.run(200 * MS)
    downtracks = cid.membership.participant.subscription.subscribe_peer.downtracks.values()  # type: ignore[union-attr]
    shown = [downtrack.uptrack for downtrack in downtracks if downtrack.uptrack is not None]
    assert [uptrack.track for uptrack in shown] == [call.track]


def test_a_backup_that_nobody_needs_is_stopped() -> None:
    call = Call()
    call.send_backup()
    call.stage.say(call.bob, signaling.Leave())
    call.stage.run(5 * SECOND, 100 * MS)
    assert len(call.ann.of(signaling.Backup)) == 1
    call.stage.run(10 * SECOND, 100 * MS)
    assert call.ann.last(signaling.Backup) == signaling.Backup(track=call.track, codec="VP8", wanted=False)


def test_a_backup_that_goes_leaves_the_track_undecoded() -> None:
    call = Call()
    call.send_backup()
    backup = call.ann.last(signaling.Answer).tracks[1].track
    call.stage.say(call.ann, signaling.Unpublish(track=backup))
    assert call.bob.last(signaling.TrackState).reason == "codec_unsupported"
    assert call.shown() == []
    assert not call.bob.of(signaling.TrackUnpublished)


def test_nobody_can_declare_a_backup_of_what_is_another_ones() -> None:
    call = Call()
    eve = call.stage.join("eve")
    tracks = [signaling_values.OfferedTrack(mid="0", source=Source.CAMERA, codec="VP8", backup_of=call.track)]
    sdp = description(generate_credentials(), [BACKUP], "actpass")
    call.stage.say(eve, signaling.Offer(peer="publish", sdp=sdp, id=1, tracks=tracks))
    call.stage.run(200 * MS)
    assert call.stage.node.rooms["r"].uptracks[call.track].backup is None
    assert call.shown() == []


def test_who_offers_vp8_is_asked_for_nothing() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    sdp = description(generate_credentials(), [VIDEO + VIDEO_SSRC], "actpass")
    stage.say(ann, signaling.Offer(peer="publish", sdp=sdp, id=1))
    subscribe(stage, bob)
    stage.run(SECOND)
    assert not ann.of(signaling.Backup)
