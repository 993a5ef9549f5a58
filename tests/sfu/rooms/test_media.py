"""Media between a publisher and a subscriber, in simulated time."""

import itertools
from collections import Counter

import pytest

from sfu.api import signaling, signaling_values
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.engine.contract import Drop
from sfu.formats import rtcp
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.ice.lite import generate_credentials
from sfu.peers.publish.uptrack import UpTrack
from sfu.rooms import statistics
from tests.sfu.rooms.stage import (
    AUDIO,
    DELTA,
    KEYFRAME,
    MS,
    SECOND,
    SIMULCAST,
    VIDEO,
    VIDEO_SSRC,
    Person,
    RtcClient,
    Stage,
    audio,
    description,
    publish,
    subscribe,
    video,
)


def call(stage: Stage) -> tuple[RtcClient, RtcClient]:
    """Ann publishes, Bob subscribes; both flow."""
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    sender = publish(stage, ann)
    stage.run(200 * MS)
    subscribe(stage, bob, receiver)
    return sender, receiver


def tracks_of(person: Person) -> list[UpTrack]:
    uptracks = person.membership.room.uptracks.values()
    return [uptrack for uptrack in uptracks if uptrack.participant == person.membership.participant.participant]


def test_packets_get_the_slots_numbers() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    sender.send(audio(70), audio(71), video(9, KEYFRAME), video(10))
    stage.deliver()
    assert [packet.payload_type for packet in receiver.rtp] == [111, 111, 96, 96]
    first, second = receiver.rtp[:2]
    assert (second.seq - first.seq, second.timestamp - first.timestamp) == (1, 960)
    assert first.ssrc != 1001
    mids = {value for packet in receiver.rtp for number, value in packet.extensions if number == 1}
    assert mids == {b"0", b"6"}


def test_a_keyframe_is_asked_for_at_once_and_again_until_it_comes() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    assert [packet.media_ssrc for packet in sender.feedback(rtcp.PictureLoss)] == [2001]
    stage.run(1600 * MS)
    assert len(sender.feedback(rtcp.PictureLoss)) == 4
    sender.send(video(1))
    stage.deliver()
    assert not receiver.rtp
    sender.send(video(2, KEYFRAME))
    stage.run(2 * SECOND)
    asked = len(sender.feedback(rtcp.PictureLoss))
    stage.run(2 * SECOND)
    assert len(sender.feedback(rtcp.PictureLoss)) == asked
    assert receiver.rtp


def test_a_subscribers_picture_loss_reaches_the_publisher_throttled() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    sender.send(video(1, KEYFRAME))
    stage.run(2 * SECOND)
    before = len(sender.feedback(rtcp.PictureLoss))
    ssrc = receiver.rtp[0].ssrc
    for _ in range(20):
        receiver.send_rtcp([rtcp.PictureLoss(1, ssrc)])
        stage.run(10 * MS)
    assert len(sender.feedback(rtcp.PictureLoss)) == before + 1


def test_a_gap_is_asked_for_at_once_and_its_repair_forwarded() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    sender.send(video(1, KEYFRAME))
    stage.deliver()
    sender.send(video(3))
    stage.deliver()
    assert [packet.seqs for packet in sender.feedback(rtcp.Nack)] == [(2,)]
    repair = video(2)
    rtx = repair._replace(payload_type=121, ssrc=2002, seq=500, payload=(2).to_bytes(2, "big") + repair.payload)
    sender.send(rtx)
    stage.deliver()
    seqs = [packet.seq for packet in receiver.rtp]
    assert sorted(seqs) == list(range(min(seqs), min(seqs) + 3))
    stage.run(SECOND)
    assert len(sender.feedback(rtcp.Nack)) == 1


def test_a_subscribers_nack_is_answered_from_the_cache() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    sender.send(video(1, KEYFRAME), video(2), video(3))
    stage.deliver()
    lost = receiver.rtp[1]
    receiver.send_rtcp([rtcp.Nack(1, lost.ssrc, (lost.seq,))])
    stage.deliver()
    rtx = receiver.rtp[-1]
    assert rtx.payload_type == 97
    assert rtx.payload == lost.seq.to_bytes(2, "big") + lost.payload
    assert stage.node.context.counters["nacks_received"] == 1


def test_reports_both_ways() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    sender.send(audio(1), video(1, KEYFRAME), *map(video, range(2, 6)))
    sender.send_rtcp([rtcp.SenderReport(1001, 5 << 32, 960, 1, 4), rtcp.SenderReport(2001, 5 << 32, 3000, 1, 100)])
    stage.run(2200 * MS)
    blocks = {block.ssrc for report in sender.feedback(rtcp.ReceiverReport) for block in report.reports}
    assert blocks == {1001, 2001}
    assert sender.feedback(TransportFeedback)
    reports = {report.ssrc: report for report in receiver.feedback(rtcp.SenderReport)}
    by_type = {packet.payload_type: packet for packet in reversed(receiver.rtp)}
    sound, picture = reports[by_type[111].ssrc], reports[by_type[96].ssrc]
    assert sound.ntp == picture.ntp
    # Equal NTP instants stand for equal capture times: the first packets of both were captured together.
    sound_age = ((sound.rtp_timestamp - by_type[111].timestamp) & 0xFFFFFFFF) / 48000
    picture_age = ((picture.rtp_timestamp - by_type[96].timestamp) & 0xFFFFFFFF) / 90000
    assert abs(sound_age - picture_age) < 0.001
    ours = stage.node.context.ntp(stage.now)
    assert abs(sound.ntp - ours) < 2 << 32
    names = {name for packet in receiver.feedback(rtcp.SourceDescription) for _, name in packet.cnames}
    assert names == {"slot-0"}


def test_reports_come_every_second_where_something_is_new_and_seldom_later() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    seqs = itertools.count(1)

    def reports(seconds: int, *, speaks: bool = True) -> int:
        before = len(receiver.feedback(rtcp.SenderReport))
        for _ in range(seconds):
            if speaks:
                sender.send(audio(next(seqs)))
            sender.send_rtcp([rtcp.SenderReport(1001, 5 << 32, 960, 1, 4)])
            stage.run(SECOND, 50 * MS)
        return len(receiver.feedback(rtcp.SenderReport)) - before

    assert 4 <= reports(6) <= 6
    assert 4 <= reports(20) <= 6
    assert reports(20, speaks=False) <= 1
    sender.send(video(1, KEYFRAME), *map(video, range(2, 6)))
    sender.send_rtcp([rtcp.SenderReport(2001, 5 << 32, 3000, 1, 100)])
    stage.deliver()
    assert {report.ssrc for report in receiver.feedback(rtcp.SenderReport)} == {receiver.rtp[0].ssrc}
    stage.run(1100 * MS)
    assert receiver.rtp[-1].ssrc in {report.ssrc for report in receiver.feedback(rtcp.SenderReport)}


def test_a_track_that_begins_does_not_repeat_the_reports_of_others() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    seqs = itertools.count(1)
    sound = before = 0
    for second in range(1, 17):
        sender.send(audio(second))
        sender.send_rtcp([rtcp.SenderReport(ssrc, second << 32, second, 1, 4) for ssrc in (1001, 2001)])
        for _ in range(10):
            if second > 10:
                seq = next(seqs)
                sender.send(video(seq, KEYFRAME if seq == 1 else DELTA))
            stage.run(100 * MS, 50 * MS)
        if second == 10:
            sound, before = receiver.rtp[0].ssrc, len(receiver.feedback(rtcp.SenderReport))
    reported = Counter(report.ssrc == sound for report in receiver.feedback(rtcp.SenderReport)[before:])
    assert reported[True] <= 2
    assert reported[False] >= 1


def test_sound_is_not_kept_in_sync_with_a_picture_of_few_frames() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    for second in range(1, 8):
        sender.send(audio(second), video(second, KEYFRAME if second == 1 else DELTA))
        sender.send_rtcp([rtcp.SenderReport(ssrc, second << 32, second, 1, 4) for ssrc in (1001, 2001)])
        stage.run(SECOND, 50 * MS)
    by_type = {packet.payload_type: packet.ssrc for packet in receiver.rtp}
    assert {report.ssrc for report in receiver.feedback(rtcp.SenderReport)} == {by_type[111]}


def test_simulcast_streams_are_learnt_and_the_highest_goes_out() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    sender = publish(stage, ann, [AUDIO, VIDEO + SIMULCAST])
    stage.run(200 * MS)
    subscribe(stage, bob, receiver)
    for seq in range(1, 120):
        sender.send(
            video(seq, KEYFRAME if seq % 30 == 1 else bytes.fromhex("1051") + bytes(50), 3001, rid="q", mid="1"),
            video(seq, (KEYFRAME if seq % 30 == 1 else bytes.fromhex("1051")) + bytes(800), 3002, rid="f", mid="1"),
        )
        stage.run(33 * MS)
    sizes = [len(packet.payload) for packet in receiver.rtp]
    assert min(sizes[-40:]) > 700
    seqs = [packet.seq for packet in receiver.rtp]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    (uptrack,) = [u for u in ann.membership.room.uptracks.values() if not u.is_audio]
    assert [stream.rid for stream in uptrack.streams] == ["q", "f"]

    sender.send_rtcp([rtcp.Bye((3002,))])
    for seq in range(120, 160):
        sender.send(video(seq, KEYFRAME if seq % 10 == 0 else bytes(50), 3001, rid="q", mid="1"))
        stage.run(33 * MS)
    assert len(receiver.rtp[-1].payload) < 300


def test_a_viewers_packets_are_not_let_pass() -> None:
    stage = Stage()
    ann = stage.join("ann", Grants(publish=()))
    client = subscribe(stage, ann)
    client.send(*(audio(seq) for seq in range(30)))
    stage.deliver()
    assert stage.node.context.drops[Drop.NOT_PERMITTED] == 30
    assert not ann.membership.room.uptracks


@pytest.mark.parametrize("source", [Source.MICROPHONE, Source.SCREEN_AUDIO])
def test_a_host_who_mutes_the_microphone_mutes_every_sound(source: Source) -> None:
    """A voice may be declared as the sound of a screen; only who publishes knows which it is."""
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    local = generate_credentials()
    declared = [signaling_values.OfferedTrack(mid="0", source=source)]
    offer = signaling.Offer(peer="publish", sdp=description(local, [AUDIO], "actpass"), id=1, tracks=declared)
    stage.say(ann, offer)
    sender = stage.connect(local, ann.last(signaling.Answer).sdp)
    stage.run(200 * MS)
    seqs = iter(range(1000))

    def heard(version: int, grants: Grants) -> int:
        """Return how many of 50 packets come through under these grants."""
        stage.node.apply(DesiredState(room="r", version=version, participants={"ann": grants}), stage.now)
        stage.deliver()
        before = len(receiver.rtp)
        for _ in range(50):
            sender.send(audio(next(seqs)))
            stage.run(20 * MS)
        return len(receiver.rtp) - before

    assert heard(1, Grants()) == 50
    assert heard(2, Grants(muted=(Source.MICROPHONE,))) == 0
    told = bob.last(signaling.TrackMuted)
    assert (told.muted, told.by_host) == (True, True)
    assert heard(3, Grants()) == 50


def test_who_is_held_muted_is_not_heard_by_a_sound_published_later() -> None:
    stage = Stage()
    held = stage.join("ann", Grants(muted=(Source.MICROPHONE,)))
    declared = [signaling_values.OfferedTrack(mid="0", source=Source.SCREEN_AUDIO)]
    offer = description(generate_credentials(), [AUDIO], "actpass")
    stage.say(held, signaling.Offer(peer="publish", sdp=offer, id=1, tracks=declared))
    (uptrack,) = tracks_of(held)
    assert (uptrack.source, uptrack.muted_by_host, uptrack.passes) == (Source.SCREEN_AUDIO, True, False)


def test_unpublishing_empties_the_slot_and_the_next_track_takes_it() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    publish(stage, ann)
    stage.run(200 * MS)
    subscribe(stage, bob, receiver)
    offers = len(bob.of(signaling.Offer))
    camera = next(u.track for u in ann.membership.room.uptracks.values() if not u.is_audio)
    stage.say(ann, signaling.Unpublish(track=camera))
    assert bob.last(signaling.TrackUnpublished).track == camera
    assert [slot.track for slot in bob.last(signaling.Slots).slots if slot.mid == "6"] == [None]
    eve = stage.join("eve")
    publish(stage, eve)
    stage.run(300 * MS)
    assert [slot.track is not None for slot in bob.last(signaling.Slots).slots if slot.mid == "6"] == [True]
    assert len(bob.of(signaling.Offer)) == offers
    slots = {slot.mid: slot.track for slot in bob.last(signaling.Slots).slots}
    hers = {u.track for u in tracks_of(eve)}
    assert {slots["1"], slots["6"]} == hers


def test_the_first_offer_is_immediate_and_later_ones_are_coalesced() -> None:
    stage = Stage()
    bob = stage.join("bob")
    assert len(bob.of(signaling.Offer)) == 1
    receiver = subscribe(stage, bob)
    for name in ("ann", "eve", "joe"):
        publish_quickly(stage, name)
    assert len(bob.of(signaling.Offer)) == 1
    stage.run(100 * MS)
    assert len(bob.of(signaling.Offer)) == 2
    assert bob.last(signaling.Offer).sdp.count("m=video") == 3
    publish_quickly(stage, "kim")
    stage.run(300 * MS)
    assert len(bob.of(signaling.Offer)) == 2
    subscribe(stage, bob, receiver)
    stage.run(100 * MS)
    assert bob.last(signaling.Offer).sdp.count("m=video") == 4


def publish_quickly(stage: Stage, name: str) -> None:
    """Offer without connecting, so that no time passes."""
    offer = description(generate_credentials(), [AUDIO, VIDEO + VIDEO_SSRC], "actpass")
    stage.say(stage.join(name), signaling.Offer(peer="publish", sdp=offer, id=1))


def test_a_re_offer_tells_mutes_and_revives_nothing_that_was_unpublished() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    local = generate_credentials()
    sdp = description(local, [AUDIO, VIDEO + VIDEO_SSRC], "actpass")
    microphone = signaling_values.OfferedTrack(mid="0", source=Source.MICROPHONE)
    camera = signaling_values.OfferedTrack(mid="1", source=Source.CAMERA)
    stage.say(ann, signaling.Offer(peer="publish", sdp=sdp, id=1, tracks=[microphone, camera]))
    tracks = {entry.mid: entry.track for entry in ann.last(signaling.Answer).tracks}
    stage.say(ann, signaling.Unpublish(track=tracks["1"]))
    muted = signaling_values.OfferedTrack(mid="0", source=Source.MICROPHONE, muted=True)
    stage.say(ann, signaling.Offer(peer="publish", sdp=sdp, id=2, tracks=[muted]))
    assert [entry.mid for entry in ann.last(signaling.Answer).tracks] == ["0"]
    assert bob.last(signaling.TrackMuted).track == tracks["0"]
    stage.say(ann, signaling.Offer(peer="publish", sdp=sdp, id=3, tracks=[muted, camera]))
    assert bob.last(signaling.TrackPublished).track.source is Source.CAMERA
    assert ann.last(signaling.Answer).tracks[1].track != tracks["1"]


def test_a_video_cannot_pass_as_a_microphone() -> None:
    stage = Stage()
    ann = stage.join("ann", Grants(publish=(Source.MICROPHONE,)))
    bob = stage.join("bob")
    sdp = description(generate_credentials(), [VIDEO + VIDEO_SSRC], "actpass")
    false_claim = [signaling_values.OfferedTrack(mid="0", source=Source.MICROPHONE)]
    stage.say(ann, signaling.Offer(peer="publish", sdp=sdp, id=1, tracks=false_claim))
    assert ann.last(signaling.Error).code == "not_permitted"
    assert not bob.of(signaling.TrackPublished)


def test_statistics_tell_both_directions() -> None:
    stage = Stage()
    sender, receiver = call(stage)
    for seq in range(1, 60):
        sender.send(video(seq, KEYFRAME if seq == 1 else DELTA))
        stage.run(33 * MS)
    receiver.send_rtcp([rtcp.ReceiverReport(1, (rtcp.ReportBlock(receiver.rtp[0].ssrc, 12, 1, 0, 0),))])
    stage.run(60 * MS)
    ann, bob = statistics.of_room(stage.node.rooms["r"], stage.now)
    picture = next(entry for entry in ann["publish"]["streams"] if entry["ssrc"] == 2001)
    assert picture["packets"] == 59
    assert 20_000 < picture["bitrate"] < 60_000
    shown = next(entry for entry in bob["subscribe"]["tracks"] if entry["track"] == picture["track"])
    assert (shown["packets"], shown["fraction_lost"], shown["mid"]) == (59, 12, "6")
