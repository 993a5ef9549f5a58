"""A room on two nodes in simulated time: participants see each other across nodes, each stream crosses once."""

from unittest import mock

import pytest
from msgspec import structs

from sfu.api import signaling
from sfu.api.cascade_link import LinkBackups, LinkHello, LinkMessage, LinkWishes
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.api.placement import Placement
from sfu.formats import red, rtcp
from sfu.formats.codecs import Codec
from sfu.formats.rtp import is_rtcp
from sfu.rooms import statistics
from sfu.rooms.cascade_link import CascadeLink
from tests.sfu.rooms.cascaded import HOME, SECONDARY, Pair, watch
from tests.sfu.rooms.stage import (
    AUDIO,
    DELTA,
    IN_RED,
    KEYFRAME,
    MS,
    SECOND,
    audio,
    publish,
    subscribe,
    video,
)


@pytest.fixture
def pair() -> Pair:
    entry = Pair()
    entry.link()
    return entry


def test_participants_see_each_other_and_facts_come_from_their_own_node(pair: Pair) -> None:
    assert pair.ann.last(signaling.ParticipantJoined).participant.participant == "bob"
    assert pair.bob.last(signaling.ParticipantJoined).participant.participant == "ann"
    late = pair.far.join("cat")
    pair.run(SECOND)
    assert {info.participant for info in late.last(signaling.RoomInfo).participants} == {"ann", "bob", "cat"}
    assert pair.ann.last(signaling.ParticipantJoined).participant.participant == "cat"
    assert {fact.participant for fact in pair.far.facts} == {"bob", "cat"}  # and no room opened there
    told = statistics.of_room(pair.far.node.rooms["r"], pair.far.now)
    assert {entry["participant"] for entry in told} == {"bob", "cat"}
    pair.far.say(late, signaling.Leave())
    pair.run(SECOND)
    assert pair.ann.last(signaling.ParticipantLeft).participant == "cat"


def test_media_cross_once_whatever_the_number_of_watchers(pair: Pair) -> None:
    sender = publish(pair.near, pair.ann)
    pair.run(SECOND)
    watchers = [watch(pair, pair.far, pair.bob), watch(pair, pair.far, pair.far.join("cat"))]
    watchers.append(watch(pair, pair.near, pair.near.join("dan")))
    pair.run(SECOND)
    pair.crossed.clear()
    for seq in range(30):
        sender.send(video(seq, KEYFRAME if seq == 0 else DELTA), audio(seq))
        pair.run(20 * MS)
    assert len(pair.rtp_from(HOME)) == 60
    for watcher in watchers:
        assert sum(packet.payload[:2] == DELTA[:2] for packet in watcher.rtp) == 29
        assert sum(packet.payload == b"opus" for packet in watcher.rtp) == 30
    # The secondary node's own publishers are seen at home.
    away = publish(pair.far, pair.bob)
    pair.run(SECOND)
    watch(pair, pair.near, pair.ann)
    pair.run(SECOND)
    pair.crossed.clear()
    away.send(video(0, KEYFRAME))
    pair.run(100 * MS)
    assert len(pair.rtp_from(SECONDARY)) == 1


def test_red_ends_at_the_first_node(pair: Pair) -> None:
    sender = publish(pair.near, pair.ann, [IN_RED])
    pair.run(SECOND)
    watcher = watch(pair, pair.far, pair.bob)
    pair.run(SECOND)
    for seq in (1, 2, 4, 5):
        payload = red.serialize([(111, 960, b"opus %d" % (seq - 1))], 111, b"opus %d" % seq)
        sender.send(audio(seq)._replace(payload_type=63, payload=payload))
        pair.run(20 * MS)
    pair.run(100 * MS)
    assert [packet.payload for packet in watcher.rtp if packet.payload] == [b"opus %d" % seq for seq in range(1, 6)]
    (uptrack,) = pair.far.node.rooms["r"].uptracks.values()
    assert {payload.codec for payload in uptrack.media.payloads.values()} == {Codec.OPUS}


def test_loss_between_the_nodes_is_repaired(pair: Pair) -> None:
    sender = publish(pair.near, pair.ann)
    pair.run(SECOND)
    watcher = watch(pair, pair.far, pair.bob)
    pair.run(SECOND)
    seen = [0]

    def every_third(data: bytes) -> bool:
        if is_rtcp(data):
            return False
        seen[0] += 1
        return seen[0] % 3 == 2

    pair.lose = every_third
    for seq in range(60):
        sender.send(video(seq, KEYFRAME if seq == 0 else DELTA + seq.to_bytes(2, "big")))
        pair.run(20 * MS)
    pair.run(SECOND)
    assert {packet.payload[-2:] for packet in watcher.rtp} >= {seq.to_bytes(2, "big") for seq in range(1, 55)}
    assert pair.far.node.context.counters["nacks_sent"] > 10


def test_who_speaks_at_one_node_is_told_and_heard_at_the_other() -> None:
    pair = Pair(audio_slots=1)
    pair.link()
    senders = [publish(pair.near, person, [AUDIO]) for person in (pair.ann, *map(pair.near.join, ("cat", "dan")))]
    pair.run(SECOND)
    watcher = watch(pair, pair.far, pair.bob)
    for who, speaker, begin in (("dan", 2, 0), ("cat", 1, 100)):
        for seq in range(begin, begin + 100):
            for number, sender in enumerate(senders):
                sender.send(audio(seq, level=20 if number == speaker else 120)._replace(payload=b"%d" % number))
            pair.run(20 * MS, 20 * MS)
        assert pair.bob.last(signaling.Speakers).speakers[0].participant == who
        assert watcher.rtp[-1].payload == b"%d" % speaker


def test_a_keyframe_wish_crosses(pair: Pair) -> None:
    sender = publish(pair.near, pair.ann)
    pair.run(SECOND)
    sender.send(video(0, KEYFRAME))
    pair.run(SECOND)
    before = len(sender.feedback(rtcp.PictureLoss))
    watcher = watch(pair, pair.far, pair.bob)
    sender.send(video(1, DELTA))
    pair.run(2 * SECOND)
    assert len(sender.feedback(rtcp.PictureLoss)) > before
    sender.send(video(2, KEYFRAME))
    pair.run(SECOND)
    assert any(packet.payload == KEYFRAME for packet in watcher.rtp)


def test_data_cross(pair: Pair) -> None:
    ann, bob = subscribe(pair.near, pair.ann, data=True), subscribe(pair.far, pair.bob, data=True)
    cat = subscribe(pair.far, pair.far.join("cat"), data=True)
    pair.run(SECOND)
    ann.say(b"to all", pair.near.now, topic="t")
    pair.run(SECOND)
    ann.say(b"to bob", pair.near.now, "bob", reliable=False)
    bob.say(b"to ann and cat", pair.far.now, "ann", "cat")
    pair.run(SECOND)
    assert ann.heard() == [("bob", b"to ann and cat")]
    assert (bob.heard(), bob.heard(reliable=False)) == ([("ann", b"to all")], [("ann", b"to bob")])
    assert (cat.heard(), cat.heard(reliable=False)) == ([("ann", b"to all"), ("bob", b"to ann and cat")], [])


def test_chat_and_mutes_cross(pair: Pair) -> None:
    publish(pair.near, pair.ann)
    pair.run(SECOND)
    cat = pair.far.join("cat")
    pair.run(SECOND)
    pair.near.say(pair.ann, signaling.Chat(text="to all"))
    pair.near.say(pair.ann, signaling.Chat(text="to bob", to="bob"))
    pair.carry()
    pair.far.say(pair.bob, signaling.Chat(text="back"))
    pair.carry()
    assert [message.text for message in pair.bob.of(signaling.Chat)] == ["to all", "to bob", "back"]
    assert [message.text for message in cat.of(signaling.Chat)] == ["to all", "back"]
    assert [message.text for message in pair.ann.of(signaling.Chat)] == ["to all", "to bob", "back"]
    assert sum(type(fact).__name__ == "ChatSent" for fact in pair.far.facts) == 1
    muted = Grants(muted=(Source.MICROPHONE,))
    pair.near.node.apply(DesiredState(room="r", version=1, participants={"ann": muted}), pair.near.now)
    pair.run(SECOND)
    told = pair.bob.last(signaling.TrackMuted)
    assert (told.muted, told.by_host) == (True, True)
    assert set(pair.bob.membership.room.participants) == {"ann", "bob", "cat"}


def test_hands_and_reactions_cross(pair: Pair) -> None:
    pair.far.say(pair.bob, signaling.Hand(raised=True))
    pair.run(SECOND)
    pair.far.say(pair.bob, signaling.Reaction(emoji="👏"))
    pair.carry()
    assert pair.ann.last(signaling.ParticipantUpdated).participant.hand > 0
    assert pair.ann.last(signaling.Reaction) == signaling.Reaction(emoji="👏", participant="bob")
    host = DesiredState(room="r", version=1, participants={"ann": Grants(host=True)})
    pair.near.node.apply(host, pair.near.now)
    pair.near.say(pair.ann, signaling.Hand(raised=False, participant="bob"))
    pair.run(SECOND)
    assert pair.bob.last(signaling.ParticipantUpdated).participant.hand == 0
    assert pair.ann.last(signaling.ParticipantUpdated).participant.hand == 0


def test_a_desired_state_concerns_each_nodes_own(pair: Pair) -> None:
    state = DesiredState(
        room="r", version=1, removed=("bob",), placement=Placement(node=HOME, epoch=0, secondaries=(SECONDARY,))
    )
    for stage in (pair.near, pair.far):
        stage.node.apply(state, stage.now)
    pair.run(SECOND)
    assert pair.bob.closed is not None
    assert pair.ann.last(signaling.ParticipantLeft).participant == "bob"
    assert not pair.far.node.rooms  # no participant of its own is left
    assert not pair.near.node.rooms["r"].links


def test_a_lost_tie_takes_its_participants_along_and_brings_them_back(pair: Pair) -> None:
    publish(pair.near, pair.ann)
    pair.run(SECOND)
    track = pair.bob.last(signaling.TrackPublished).track.track
    for stage in (pair.near, pair.far):
        stage.node.link_lost(next(iter(stage.node.links)), stage.now)
        stage.deliver()
    assert track in {message.track for message in pair.bob.of(signaling.TrackUnpublished)}
    assert pair.bob.last(signaling.ParticipantLeft).participant == "ann"
    assert set(pair.near.node.rooms["r"].participants) == {"ann"}
    pair.link()
    pair.run(SECOND)
    assert pair.bob.last(signaling.ParticipantJoined).participant.participant == "ann"
    assert len(pair.far.node.rooms["r"].uptracks) == 2


def test_a_node_of_the_version_before_is_told_nothing_new() -> None:
    pair = Pair()
    tell = CascadeLink._tell

    def old(link: CascadeLink, message: LinkMessage) -> None:
        tell(link, structs.replace(message, v=1) if isinstance(message, LinkHello) else message)

    with mock.patch.object(CascadeLink, "_tell", old):
        pair.link()
    sender = publish(pair.near, pair.ann)
    pair.run(12 * SECOND, 50 * MS)
    assert not [said for _, said in pair.said if isinstance(said, LinkWishes | LinkBackups)]
    pair.crossed.clear()
    sender.send(video(0, KEYFRAME))
    pair.run(100 * MS)
    assert len(pair.rtp_from(HOME)) == 1


def test_whoever_comes_over_is_no_longer_remote(pair: Pair) -> None:
    publish(pair.near, pair.ann)
    pair.run(SECOND)
    moved = pair.far.join("ann")
    room = pair.far.node.rooms["r"]
    assert room.participants["ann"].link is None
    assert not room.uptracks
    assert moved.last(signaling.RoomInfo).participant == "ann"
