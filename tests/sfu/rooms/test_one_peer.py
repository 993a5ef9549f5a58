"""Clients with one peer for both directions: they make all offers, and are asked for more when needed."""

import pytest

from sfu.api import signaling
from sfu.api.livekit import LiveKitAdmission
from sfu.api.refusal import Refused
from sfu.formats.sdp import Direction, MediaSection, parse
from sfu.livekit.session import LiveKitSession
from sfu.machines.ice.lite import generate_credentials
from tests.sfu.rooms.stage import (
    AUDIO,
    KEYFRAME,
    MS,
    VIDEO,
    VIDEO_SSRC,
    Person,
    RtcClient,
    Stage,
    audio,
    description,
    publish,
    video,
)

EAR, EYE = (text.replace("sendonly", "recvonly") for text in (AUDIO.partition("a=ssrc")[0], VIDEO))


class Duplex:
    """Somebody with one peer: `sections` are those of the next offer."""

    def __init__(self, stage: Stage, person: Person, *sections: str) -> None:
        self.stage, self.person = stage, person
        self.sections = list(sections)
        self.local = generate_credentials()
        self.client: RtcClient | None = None

    def offer(self) -> dict[str, MediaSection]:
        """Make an offer and return the sections of its answer; connects the first time."""
        offer = description(self.local, self.sections, "actpass")
        self.stage.say(self.person, signaling.Offer(peer="publish", sdp=offer, id=1))
        answer = self.person.last(signaling.Answer).sdp
        if self.client is None:
            self.client = self.stage.connect(self.local, answer)
        return {section.mid or "": section for section in parse(answer).media}

    @property
    def asked(self) -> list[tuple[int, int]]:
        return [(one.audio, one.video) for one in self.person.of(signaling.SectionsWanted)]


def test_one_peer_publishes_and_shows_what_others_publish() -> None:
    stage = Stage()
    bob = Duplex(stage, stage.join("bob", dialect=LiveKitSession(LiveKitAdmission(), one_peer=True)), EAR, EYE)
    assert [one.direction for one in bob.offer().values()] == [Direction.INACTIVE, Direction.INACTIVE]

    ann = stage.join("ann")
    sender = publish(stage, ann, (VIDEO + VIDEO_SSRC,))
    stage.run(100 * MS)
    assert bob.asked == [(0, 0)]
    bob.sections.append(AUDIO)
    shown = bob.offer()
    assert [one.direction for one in shown.values()] == [Direction.INACTIVE, Direction.SENDONLY, Direction.RECVONLY]
    (track,) = (name for name, of in stage.node.rooms["r"].uptracks.items() if of.participant == "ann")
    assert [msid.track for msid in shown["1"].msids] == [f"TR_{track}"]

    receiver = bob.client
    assert receiver is not None
    sender.send(video(1, KEYFRAME))
    receiver.send(audio(1, level=20))
    stage.run(100 * MS)
    assert [packet.ssrc for packet in receiver.rtp] == [shown["1"].ssrcs[0].ssrc]
    heard = next(of for of in stage.node.rooms["r"].uptracks.values() if of.participant == "bob")
    assert len(heard.streams) == 1

    eve = stage.join("eve")
    publish(stage, eve, (VIDEO + VIDEO_SSRC,))
    stage.run(100 * MS)
    assert bob.asked[-1] == (0, 1)
    bob.sections.append(EYE)
    assert bob.offer()["3"].direction is Direction.SENDONLY


def test_a_section_that_became_free_is_inactive_before_it_shows_another_stream() -> None:
    stage = Stage()
    bob = Duplex(stage, stage.join("bob", dialect=LiveKitSession(LiveKitAdmission(), one_peer=True)), EYE)
    bob.offer()
    ssrcs = []
    for who in ("ann", "eve"):
        person = stage.join(who)
        publish(stage, person, (VIDEO + VIDEO_SSRC,))
        stage.run(100 * MS)
        ssrcs.append(bob.offer()["0"].ssrcs[0].ssrc)
        stage.say(person, signaling.Leave())
        asked = len(bob.asked)
        stage.run(100 * MS)
        assert len(bob.asked) == asked + 1
        assert bob.offer()["0"].direction is Direction.INACTIVE
        stage.run(100 * MS)
        assert len(bob.asked) == asked + 1  # there is nothing to show, and nothing to ask for
    assert ssrcs[0] != ssrcs[1]


def test_an_offer_with_other_codec_parameters_gets_another_stream_of_the_same_track() -> None:
    stage = Stage()
    bob = Duplex(stage, stage.join("bob", dialect=LiveKitSession(LiveKitAdmission(), one_peer=True)), EYE)
    bob.offer()
    sender = publish(stage, stage.join("ann"), (VIDEO + VIDEO_SSRC,))
    stage.run(100 * MS)
    before = bob.offer()["0"]
    assert bob.offer()["0"] == before
    bob.sections[0] += "a=fmtp:96 x-google-start-bitrate=1000\r\n"
    after = bob.offer()["0"]
    assert after.msids == before.msids
    assert not {one.ssrc for one in after.ssrcs} & {one.ssrc for one in before.ssrcs}

    receiver = bob.client
    assert receiver is not None
    sender.send(video(1, KEYFRAME))
    stage.run(100 * MS)
    assert [packet.ssrc for packet in receiver.rtp] == [after.ssrcs[0].ssrc]


def test_an_offer_that_cannot_be_answered_leaves_no_peer() -> None:
    stage = Stage()
    bob = stage.join("bob", dialect=LiveKitSession(LiveKitAdmission(), one_peer=True))
    with pytest.raises(Refused, match="cannot be answered"):
        stage.say(bob, signaling.Offer(peer="publish", sdp="v=0\r\n", id=1))
    participant = bob.membership.participant
    assert (participant.publish, participant.subscription) == (None, None)
    assert len(stage.node.peers) == 0
