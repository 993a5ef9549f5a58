"""Raised hands and reactions: permission, visibility and limits."""

import pytest

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.facts import MessageReacted
from sfu.api.join_token import Grants
from sfu.api.refusal import Refused
from tests.sfu.rooms.stage import SECOND, Stage


def test_a_hand_is_up_until_its_owner_or_a_host_lowers_it() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob", grants=Grants(host=True))
    stage.say(ann, signaling.Hand(raised=True))
    since = bob.last(signaling.ParticipantUpdated).participant.hand
    assert since > 0
    stage.run(SECOND)
    stage.say(ann, signaling.Hand(raised=True))
    assert len(bob.of(signaling.ParticipantUpdated)) == 1
    cat = stage.join("cat")
    told = {info.participant: info.hand for info in cat.last(signaling.RoomInfo).participants}
    assert told == {"ann": since, "bob": 0, "cat": 0}
    with pytest.raises(Refused, match="not_permitted"):
        stage.say(cat, signaling.Hand(raised=False, participant="ann"))
    for wrong, code in (("ann", "bad_message"), ("dan", "unknown_participant")):
        with pytest.raises(Refused, match=code):
            stage.say(bob, signaling.Hand(raised=wrong == "ann", participant=wrong))
    stage.say(bob, signaling.Hand(raised=False, participant="ann"))
    assert cat.last(signaling.ParticipantUpdated).participant.hand == 0


def test_others_see_who_presents() -> None:
    stage = Stage()
    stage.join("ann")
    bob = stage.join("bob")
    for version, presenter in ((1, True), (2, False)):
        grants = {"ann": Grants(presenter=presenter)}
        stage.node.apply(DesiredState(room="r", version=version, participants=grants), stage.now)
        stage.deliver()
        assert bob.last(signaling.ParticipantUpdated).participant.presenter is presenter


def test_a_reaction_is_an_emoji_shown_to_all_and_bounded_in_rate() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    stage.say(ann, signaling.Reaction(emoji="👍", participant="bob"))
    assert bob.last(signaling.Reaction) == ann.last(signaling.Reaction)
    assert bob.last(signaling.Reaction) == signaling.Reaction(emoji="👍", participant="ann")
    for emoji in ("", "hello", "👍" * 17):
        with pytest.raises(Refused, match="bad_message"):
            stage.say(ann, signaling.Reaction(emoji=emoji))
    with pytest.raises(Refused, match="too_many_requests"):
        for _ in range(20):
            stage.say(ann, signaling.Reaction(emoji="👍"))


def test_an_emoji_is_put_on_a_message_for_those_who_see_it() -> None:
    stage = Stage()
    ann, bob, cat = (stage.join(name) for name in ("ann", "bob", "cat"))
    stage.say(ann, signaling.Reaction(emoji="👍", message="m1"))
    shown = signaling.Reaction(emoji="👍", message="m1", participant="ann")
    assert [one.last(signaling.Reaction) for one in (ann, bob, cat)] == [shown] * 3
    stage.say(bob, signaling.Reaction(emoji="🎉", message="m2", on=False, to="ann"))
    private = signaling.Reaction(emoji="🎉", message="m2", on=False, to="ann", participant="bob")
    assert [one.last(signaling.Reaction) for one in (ann, bob, cat)] == [private, private, shown]
    told = [fact for fact in stage.facts if isinstance(fact, MessageReacted)]
    assert [(fact.message, fact.participant, fact.emoji, fact.on) for fact in told] == [
        ("m1", "ann", "👍", True),
        ("m2", "bob", "🎉", False),
    ]
    silent = stage.join("dan", grants=Grants(chat=False))
    with pytest.raises(Refused, match="not_permitted"):
        stage.say(silent, signaling.Reaction(emoji="👍", message="m1"))
