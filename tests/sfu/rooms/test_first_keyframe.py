"""A publisher's first keyframe reaches those in the room, since some senders, such as FFmpeg, ignore requests."""

from collections import Counter

import pytest

from sfu.api import signaling
from sfu.engine.contract import Drop, Leftover, LeftoverKind
from sfu.formats.rtcp import PictureLoss
from sfu.machines.ice.lite import generate_credentials
from sfu.peers.early_media import EarlyMedia
from sfu.peers.subscribe.bandwidth import Bandwidth
from sfu.rooms import adaptation
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
    publish,
    subscribe,
    video,
)

FIRST_GROUP = [video(seq, KEYFRAME if seq == 1 else bytes.fromhex("1051") + bytes(100)) for seq in range(1, 6)]


def room_with_a_slot(*, estimates: bool = True) -> tuple[Stage, Person, RtcClient]:
    """Bob waits with a video slot that was negotiated for somebody who is gone again."""
    stage = Stage()
    if estimates:
        stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # the Python engine is one
    bob, guest = stage.join("bob"), stage.join("guest")
    viewer = subscribe(stage, bob)
    publish(stage, guest)
    stage.run(200 * MS)
    subscribe(stage, bob, viewer)
    stage.say(guest, signaling.Leave())
    stage.run(500 * MS)
    return stage, stage.join("ann"), viewer


@pytest.mark.parametrize("setup", ["actpass", "passive"])
@pytest.mark.parametrize("estimates", [True, False])
@pytest.mark.parametrize("ssrc", [VIDEO_SSRC, ""])
def test_it_comes_with_the_end_of_the_handshake_and_is_seen(setup: str, estimates: bool, ssrc: str) -> None:
    """The DTLS server has keys, and sends, before the other side has read its last message."""
    stage, ann, viewer = room_with_a_slot(estimates=estimates)
    publish(stage, ann, [VIDEO + ssrc], setup=setup, begins_with=FIRST_GROUP)
    assert [packet.payload[:2] for packet in viewer.rtp] == [packet.payload[:2] for packet in FIRST_GROUP]
    assert stage.node.context.drops[Drop.NO_KEYS] == 0


def test_everyone_in_a_large_room_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are served at a time: as many turns as it takes come before the handshake ends, here after 60 ms."""
    monkeypatch.setattr(adaptation, "_BATCH", 1)
    stage = Stage()
    stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # the Python engine is one
    people = [stage.join(f"p{number}") for number in range(4)]
    viewers = [subscribe(stage, person) for person in people]
    guest = stage.join("guest")
    publish(stage, guest)
    stage.run(200 * MS)
    for person, viewer in zip(people, viewers, strict=True):
        subscribe(stage, person, viewer)
    stage.say(guest, signaling.Leave())
    stage.run(SECOND)
    ann = stage.join("ann")
    stage.run(SECOND)
    local = generate_credentials()
    offer = description(local, [VIDEO + VIDEO_SSRC], "actpass")
    stage.say(ann, signaling.Offer(peer="publish", sdp=offer, id=1))
    stage.run(60 * MS)
    stage.connect(local, ann.last(signaling.Answer).sdp, begins_with=FIRST_GROUP)
    assert [len(viewer.rtp) for viewer in viewers] == [len(FIRST_GROUP)] * 4


@pytest.mark.parametrize("late", [300 * MS, 3 * SECOND])
def test_who_has_no_slot_yet_begins_with_it_if_it_is_not_long_ago(late: int) -> None:
    stage = Stage()
    stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # the Python engine is one
    bob, ann = stage.join("bob"), stage.join("ann")
    viewer = subscribe(stage, bob)
    stage.run(SECOND)
    camera = publish(stage, ann, [VIDEO + VIDEO_SSRC], begins_with=FIRST_GROUP[:1])
    for number in range(2, 2 + late // (30 * MS)):
        camera.send(video(number))
        stage.run(30 * MS)
    assert viewer.rtp == []
    asked = len(camera.feedback(PictureLoss))
    subscribe(stage, bob, viewer)
    camera.send(video(2 + late // (30 * MS)))
    stage.run(30 * MS)
    is_long_ago = late > 2 * SECOND
    assert [packet.seq - viewer.rtp[0].seq for packet in viewer.rtp] == ([] if is_long_ago else [*range(12)])
    assert (len(camera.feedback(PictureLoss)) > asked) == is_long_ago


def test_a_link_without_room_gets_no_picture_before_its_price_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, ann, viewer = room_with_a_slot()
    monkeypatch.setattr(Bandwidth, "rate", 100_000.0)
    publish(stage, ann, [VIDEO + VIDEO_SSRC], begins_with=FIRST_GROUP)
    assert viewer.rtp == []


def early(number: int, arrival: int) -> Leftover:
    return Leftover(LeftoverKind.EARLY, 1, number.to_bytes(2, "big"), ("192.0.2.9", 9), 0, arrival)


def test_what_is_held_is_bounded_in_time_and_number() -> None:
    drops: Counter[Drop] = Counter()
    held = EarlyMedia(drops)
    for number in range(1000):
        held.hold(early(number, 0))
    assert [int.from_bytes(leftover.data, "big") for leftover in held.take(100 * MS)] == list(range(744, 1000))
    assert drops[Drop.NO_KEYS] == 744
    held.hold(early(0, 0))
    held.hold(early(1, 50 * MS))
    assert held.take(101 * MS) == [early(1, 50 * MS)]
    held.hold(early(2, 0))
    held.give_up()
    assert held.take(0) == []
    assert drops[Drop.NO_KEYS] == 746
