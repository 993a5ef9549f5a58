"""The lite agent: checks, refusals, nomination, moving addresses, consent, restart."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import sdp, stun
from sfu.machines.ice.lite import (
    CONSENT_NS,
    MAX_PAIRS,
    MAX_QUESTIONS,
    QUESTION_NS,
    Credentials,
    FiveTuple,
    IceLite,
    IceReceived,
    Refusal,
    generate_credentials,
    lite_candidates,
    local_ufrag,
)

SECOND = 1_000_000_000
OURS = Credentials("ourufrag", "ourpassword0123456789abc")
THEIRS = "theirs"
WIFI = ("192.0.2.10", 5000)
MOBILE = ("198.51.100.10", 6000)


def check(
    ours: Credentials = OURS,
    theirs: str = THEIRS,
    *,
    nominate: bool = False,
    priority: int | None = 100,
    key: bytes | None = b"",
    **fields: object,
) -> bytes:
    message = stun.Message(
        stun.MessageClass.REQUEST,
        b"transaction!",
        username=f"{ours.ufrag}:{theirs}",
        priority=priority,
        use_candidate=nominate,
        **{"controlling": 1, **fields},
    )
    return stun.serialize(message, ours.pwd.encode() if key == b"" else key)


def agent() -> IceLite:
    made = IceLite(OURS, 0)
    made.set_remote(THEIRS, "theirpassword0123456789a")
    return made


def test_a_check_is_answered_and_validates_its_5_tuple() -> None:
    ice = agent()
    assert ice.selected is None
    result = ice.receive(check(), WIFI, 3, SECOND)
    assert result.validated == result.selected == ice.selected == FiveTuple(WIFI, 3)
    assert not ice.nominated
    response = stun.parse(result.response or b"")
    assert response.message_class is stun.MessageClass.SUCCESS
    assert response.transaction_id == b"transaction!"
    assert response.xor_mapped_address == WIFI
    assert stun.verify_integrity(result.response or b"", OURS.pwd.encode())
    again = ice.receive(check(nominate=True), WIFI, 3, 2 * SECOND)
    assert again == IceReceived(response=result.response)
    assert ice.nominated


def test_checks_may_come_before_the_answer_that_tells_the_remote_ufrag() -> None:
    ice = IceLite(OURS, 0)
    assert ice.receive(check(theirs="whoever"), WIFI, 0, 0).validated
    ice.set_remote(THEIRS, "theirpassword0123456789a")
    assert ice.receive(check(theirs="whoever"), WIFI, 0, 0).refused is Refusal.WRONG_UFRAG


@pytest.mark.parametrize(
    ("data", "refusal", "code"),
    [
        (b"", Refusal.MALFORMED, None),
        (b"\x00\x01garbage", Refusal.MALFORMED, None),
        (check(key=None), Refusal.NO_INTEGRITY, 400),
        (check(key=b"another password"), Refusal.WRONG_INTEGRITY, 401),
        (check(Credentials("nobody", OURS.pwd)), Refusal.WRONG_UFRAG, 401),
        (check(theirs="someone"), Refusal.WRONG_UFRAG, 401),
        (check(theirs="theirs:more"), Refusal.WRONG_UFRAG, 401),
        (check(controlling=None, controlled=5), Refusal.ROLE_CONFLICT, 487),
        (stun.serialize(stun.Message(stun.MessageClass.INDICATION, bytes(12))), Refusal.NOT_A_REQUEST, None),
        (stun.serialize(stun.Message(stun.MessageClass.SUCCESS, bytes(12))), Refusal.UNKNOWN_TRANSACTION, None),
        (stun.serialize(stun.Message(stun.MessageClass.ERROR, bytes(12))), Refusal.NOT_A_REQUEST, None),
        (stun.serialize(stun.Message(stun.MessageClass.REQUEST, bytes(12), method=3)), Refusal.NOT_A_REQUEST, None),
    ],
)
def test_what_is_refused_has_a_reason_and_changes_nothing(data: bytes, refusal: Refusal, code: int | None) -> None:
    ice = agent()
    result = ice.receive(data, WIFI, 0, 20 * SECOND)
    assert result.refused is refusal
    assert (result.validated, result.selected) == (None, None)
    assert ice.selected is None
    assert ice.timer() == CONSENT_NS
    if code is None:
        assert result.response is None
    else:
        error = stun.parse(result.response or b"").error
        assert error is not None
        assert error[0] == code


def test_an_unknown_required_attribute_is_named() -> None:
    # RESERVATION-TOKEN (RFC 8656), put before the integrity attribute
    plain = stun.Message(stun.MessageClass.REQUEST, b"transaction!", username=f"{OURS.ufrag}:{THEIRS}", priority=1)
    bare = stun.serialize(plain, None, fingerprint=False)
    body = bare[20:] + bytes.fromhex("00220008") + bytes(8)
    header = bare[:2] + (len(body) + 24).to_bytes(2, "big") + bare[4:20]
    digest = hmac.new(OURS.pwd.encode(), header + body, hashlib.sha1).digest()
    result = agent().receive(header + body + bytes.fromhex("00080014") + digest, WIFI, 0, 0)
    assert result.refused is Refusal.UNKNOWN_ATTRIBUTE
    assert stun.parse(result.response or b"").unknown_attributes == (0x0022,)


def test_no_error_is_longer_than_what_provoked_it() -> None:
    bare = stun.serialize(stun.Message(stun.MessageClass.REQUEST, bytes(12)), None, fingerprint=False)
    assert len(bare) == 20
    result = agent().receive(bare, WIFI, 0, 0)
    assert result == IceReceived(refused=Refusal.NO_INTEGRITY)


@given(st.binary(max_size=200), st.integers(0, 150), st.integers(0, 255))
def test_any_bytes_are_borne(tail: bytes, where: int, value: int) -> None:
    ice = agent()
    for data in (tail, check()[: len(tail)], check() + tail):
        ice.receive(data, WIFI, 0, 0)
    flipped = bytearray(check())
    where %= len(flipped) - 8  # what follows the integrity attribute is not covered by it
    if flipped[where] != value:
        flipped[where] = value
        assert ice.receive(bytes(flipped), MOBILE, 0, 0).validated is None


def test_repetitions_of_the_selected_pairs_newest_check_may_be_answered_elsewhere() -> None:
    ice = agent()
    assert ice.repeatable() is None
    ice.receive(check(nominate=True), WIFI, 0, 0)
    known = ice.repeatable()
    assert known == (FiveTuple(WIFI, 0), stun.attributes_of(check(nominate=True)), OURS.pwd.encode())
    ice.receive(check(), MOBILE, 0, 0)  # not selected
    assert ice.repeatable() == known
    ice.receive(check(nominate=True, priority=101), WIFI, 0, 0)
    assert ice.repeatable() == (FiveTuple(WIFI, 0), stun.attributes_of(check(nominate=True, priority=101)), known.key)
    ice.refresh(20 * SECOND)
    ice.handle_timer(CONSENT_NS)  # the other pair is forgotten
    assert (ice.pairs, ice.expired) == ((FiveTuple(WIFI, 0),), False)
    assert ice.timer() == 20 * SECOND + CONSENT_NS
    ice.refresh(10 * SECOND)
    assert ice.timer() == 20 * SECOND + CONSENT_NS
    ice.handle_timer(20 * SECOND + CONSENT_NS)
    assert ice.expired
    assert ice.repeatable() is None


def test_checks_under_former_credentials_are_not_answered_elsewhere() -> None:
    ice = agent()
    ice.receive(check(nominate=True), WIFI, 0, 0)
    ice.set_remote("somebody", "theirpassword0123456789a")
    assert ice.repeatable() is None
    ice = agent()
    ice.receive(check(nominate=True), WIFI, 0, 0)
    ice.restart(Credentials("newufrag", "newpassword0123456789abcd"))
    assert ice.repeatable() is None
    assert ice.receive(check(nominate=True), WIFI, 0, SECOND).response is not None


def test_the_highest_priority_of_nominated_pairs_wins() -> None:
    ice = agent()
    ice.receive(check(priority=1), WIFI, 0, 0)
    assert ice.receive(check(priority=2), MOBILE, 0, 0).selected == FiveTuple(MOBILE, 0)
    assert ice.receive(check(priority=1, nominate=True), WIFI, 0, 0).selected == FiveTuple(WIFI, 0)
    assert ice.receive(check(priority=2, nominate=True), MOBILE, 0, 0).selected == FiveTuple(MOBILE, 0)
    assert ice.receive(check(priority=1, nominate=True), WIFI, 0, SECOND).selected is None
    assert ice.selected == FiveTuple(MOBILE, 0)


def test_a_browser_that_changes_networks_is_followed() -> None:
    ice = agent()
    for second in range(0, 10, 2):
        ice.receive(check(priority=9, nominate=True), WIFI, 0, second * SECOND)
        assert ice.receive(check(priority=1), MOBILE, 0, second * SECOND).selected is None
    # the first network has gone silent
    assert ice.receive(check(priority=1, nominate=True), MOBILE, 0, 10 * SECOND).selected is None
    assert ice.receive(check(priority=1, nominate=True), MOBILE, 0, 12 * SECOND).selected == FiveTuple(MOBILE, 0)


def test_a_nomination_taken_back_gives_way_at_once() -> None:
    ice = agent()
    ice.receive(check(priority=9, nominate=True), WIFI, 0, 0)
    ice.receive(check(priority=9), WIFI, 0, SECOND)
    assert ice.selected == FiveTuple(WIFI, 0)
    assert ice.receive(check(priority=1, nominate=True), MOBILE, 0, SECOND).selected == FiveTuple(MOBILE, 0)


def test_a_rebound_nat_is_followed_without_nomination() -> None:
    ice = agent()
    ice.receive(check(nominate=True), WIFI, 0, 0)
    rebound = (WIFI[0], 5001)
    assert ice.receive(check(), rebound, 0, 5 * SECOND).selected is None
    assert ice.receive(check(), rebound, 0, 10 * SECOND).selected == FiveTuple(rebound, 0)


def test_consent_lapses_after_30_seconds_without_a_valid_check() -> None:
    ice = agent()
    ice.receive(check(), WIFI, 0, 10 * SECOND)
    ice.receive(check(key=b"wrong"), WIFI, 0, 35 * SECOND)
    assert ice.timer() == 10 * SECOND + CONSENT_NS
    assert ice.handle_timer(10 * SECOND + CONSENT_NS - 1) == ()
    assert not ice.expired
    assert ice.handle_timer(10 * SECOND + CONSENT_NS) == (FiveTuple(WIFI, 0),)
    assert ice.expired
    assert ice.selected is None
    assert ice.timer() is None
    assert ice.receive(check(), WIFI, 0, 41 * SECOND) == IceReceived(refused=Refusal.EXPIRED)
    assert ice.handle_timer(99 * SECOND) == ()


def test_a_peer_that_never_checked_expires_too() -> None:
    ice = IceLite(OURS, 5 * SECOND)
    assert ice.timer() == 35 * SECOND
    ice.handle_timer(35 * SECOND)
    assert ice.expired


def test_a_silent_pair_is_dismissed_and_the_best_of_the_rest_selected() -> None:
    ice = agent()
    ice.receive(check(nominate=True, priority=9), WIFI, 0, 0)
    ice.receive(check(priority=1), MOBILE, 0, 5 * SECOND)
    assert ice.timer() == CONSENT_NS
    assert ice.handle_timer(CONSENT_NS) == (FiveTuple(WIFI, 0),)
    assert not ice.expired
    assert ice.selected == FiveTuple(MOBILE, 0)


def test_5_tuples_are_bounded_and_the_selected_one_stays() -> None:
    ice = agent()
    ice.receive(check(nominate=True, priority=9), WIFI, 0, 0)
    dismissed: list[FiveTuple] = []
    for port in range(1, 3 * MAX_PAIRS):
        dismissed += ice.receive(check(priority=1), ("198.51.100.1", port), 0, port).dismissed
    assert len(ice.pairs) == MAX_PAIRS
    assert ice.selected == FiveTuple(WIFI, 0)
    assert dismissed == [FiveTuple(("198.51.100.1", port), 0) for port in range(1, 2 * MAX_PAIRS + 1)]


def test_a_restart_takes_both_credentials_until_the_new_ones_nominate() -> None:
    ice = agent()
    ice.receive(check(nominate=True, priority=9), WIFI, 0, 0)
    new = Credentials("newufrag", "newpassword0123456789abcd")
    ice.restart(new)
    ice.set_remote("theirs2", "theirpassword0123456789a")
    assert ice.credentials == new
    assert ice.ufrags == (new.ufrag, OURS.ufrag)
    assert ice.receive(check(nominate=True, priority=9), WIFI, 0, SECOND).refused is None
    assert ice.receive(check(new, "theirs2", priority=1), MOBILE, 0, SECOND).selected is None
    result = ice.receive(check(new, "theirs2", nominate=True, priority=1), MOBILE, 0, SECOND)
    assert result.selected == FiveTuple(MOBILE, 0)
    assert stun.verify_integrity(result.response or b"", new.pwd.encode())
    assert ice.ufrags == (new.ufrag,)
    assert ice.receive(check(nominate=True, priority=9), WIFI, 0, SECOND).refused is Refusal.WRONG_UFRAG
    assert ice.receive(check(new, THEIRS), WIFI, 0, SECOND).refused is Refusal.WRONG_UFRAG


THEIR_KEY = b"theirpassword0123456789a"


def answer(asked: bytes, key: bytes = THEIR_KEY) -> bytes:
    """Return what the remote says to a check of ours."""
    transaction = stun.parse(asked).transaction_id
    return stun.serialize(
        stun.Message(stun.MessageClass.SUCCESS, transaction, xor_mapped_address=("192.0.2.9", 1)), key
    )


def flowing() -> IceLite:
    """An agent whose peer gets media by the first network."""
    ice = agent()
    ice.receive(check(priority=5, nominate=True), WIFI, 0, 0)
    assert ice.establish({FiveTuple(WIFI, 0)}, 0)
    assert ice.checks_to_send() == []
    return ice


def test_media_moves_once_the_new_address_has_answered_a_check_of_ours() -> None:
    ice = flowing()
    assert ice.receive(check(priority=9, nominate=True), MOBILE, 1, SECOND).selected is None
    (asked,) = ice.checks_to_send()
    assert asked.five_tuple == FiveTuple(MOBILE, 1)
    question = stun.parse(asked.data)
    assert question.username == f"{THEIRS}:{OURS.ufrag}"
    assert question.controlled is not None
    assert stun.verify_integrity(asked.data, THEIR_KEY)
    assert ice.receive(answer(asked.data), MOBILE, 1, SECOND).selected == FiveTuple(MOBILE, 1)
    # and back: the old address is known to receive
    assert ice.receive(check(priority=10, nominate=True), WIFI, 0, 2 * SECOND).selected == FiveTuple(WIFI, 0)


@pytest.mark.parametrize("forged", ["from another address", "with our password", "of another transaction", "twice"])
def test_only_the_answer_to_our_check_moves_media(forged: str) -> None:
    ice = flowing()
    ice.receive(check(priority=9, nominate=True), MOBILE, 0, SECOND)
    (asked,) = ice.checks_to_send()
    match forged:
        case "from another address":
            given, source = answer(asked.data), ("198.51.100.1", 7000)
        case "with our password":
            given, source = answer(asked.data, OURS.pwd.encode()), MOBILE
        case "of another transaction":
            given, source = answer(check()), MOBILE
        case _:
            ice.receive(answer(asked.data), MOBILE, 0, SECOND)
            given, source = answer(asked.data), MOBILE
    received = ice.receive(given, source, 0, SECOND)
    assert received.refused in {Refusal.UNKNOWN_TRANSACTION, Refusal.WRONG_INTEGRITY}
    assert received.selected is None


def test_an_address_that_does_not_answer_gets_three_checks_and_no_media() -> None:
    ice = flowing()
    ice.receive(check(priority=9, nominate=True), MOBILE, 0, SECOND)
    sent, now = len(ice.checks_to_send()), SECOND
    while (at := ice.timer()) is not None and at < 10 * SECOND:
        now = at
        ice.handle_timer(now)
        sent += len(ice.checks_to_send())
    assert sent == MAX_QUESTIONS
    assert now < 3 * SECOND
    assert ice.selected == FiveTuple(WIFI, 0)


def test_forged_checks_do_not_keep_the_client_itself_from_moving() -> None:
    ice = flowing()
    forged, home = ("203.0.113.66", 1), ("192.0.2.77", 6000)
    for turn in range(5):
        ice.receive(check(priority=20, nominate=True), forged, 0, SECOND + turn)
    ice.receive(check(priority=9, nominate=True), home, 0, 2 * SECOND)
    asked = {one.five_tuple.source: one.data for one in ice.checks_to_send()}
    ice.receive(check(priority=20, nominate=True), forged, 0, 2 * SECOND)
    assert ice.receive(answer(asked[home]), home, 0, 2 * SECOND).selected == FiveTuple(home, 0)


def test_a_lost_check_is_sent_again() -> None:
    ice = flowing()
    ice.receive(check(priority=9, nominate=True), MOBILE, 0, SECOND)
    (lost,) = ice.checks_to_send()
    assert ice.timer() == SECOND + QUESTION_NS
    ice.handle_timer(SECOND + QUESTION_NS)
    (again,) = ice.checks_to_send()
    assert again == lost
    assert ice.receive(answer(again.data), MOBILE, 0, 2 * SECOND).selected == FiveTuple(MOBILE, 0)


def test_a_handshake_that_went_to_several_addresses_proves_none() -> None:
    """Its datagrams may have gone past the one who is to get media: that one is asked."""
    ice = agent()
    ice.receive(check(priority=1, nominate=True), WIFI, 0, 0)
    ice.receive(check(priority=9, nominate=True), MOBILE, 0, 0)
    assert not ice.establish({FiveTuple(WIFI, 0), FiveTuple(MOBILE, 0)}, SECOND)
    (asked,) = ice.checks_to_send()
    assert asked.five_tuple == FiveTuple(MOBILE, 0)
    assert not ice.establish({FiveTuple(WIFI, 0), FiveTuple(MOBILE, 0)}, SECOND)
    ice.receive(answer(asked.data), MOBILE, 0, SECOND)
    assert ice.establish({FiveTuple(WIFI, 0), FiveTuple(MOBILE, 0)}, SECOND)
    assert ice.selected == FiveTuple(MOBILE, 0)


def test_media_begins_where_the_handshake_went_though_another_address_was_named_since() -> None:
    ice = agent()
    ice.receive(check(priority=1, nominate=True), WIFI, 0, 0)
    ice.receive(check(priority=9, nominate=True), MOBILE, 0, 0)
    assert ice.selected == FiveTuple(MOBILE, 0)
    assert ice.establish({FiveTuple(WIFI, 0)}, SECOND)
    assert ice.selected == FiveTuple(WIFI, 0)
    (asked,) = ice.checks_to_send()
    assert ice.receive(answer(asked.data), MOBILE, 0, SECOND).selected == FiveTuple(MOBILE, 0)


def test_peers_are_found_by_our_ufrag() -> None:
    assert local_ufrag(check()) == OURS.ufrag
    response = stun.serialize(stun.Message(stun.MessageClass.SUCCESS, bytes(12), username="a:b"))
    nameless = stun.serialize(stun.Message(stun.MessageClass.REQUEST, bytes(12), username="alone"))
    for data in (b"", b"\x00" * 20, response, nameless):
        assert local_ufrag(data) is None


def test_credentials_are_long_and_differ() -> None:
    made = {generate_credentials() for _ in range(50)}
    assert len({one.ufrag for one in made}) == len({one.pwd for one in made}) == 50
    assert all(len(one.ufrag) == 8 and len(one.pwd) == 32 for one in made)


def test_candidates_of_both_families_with_the_announced_first() -> None:
    candidates = lite_candidates(
        [("192.0.2.1", 8810), ("2001:db8::1", 8810), ("192.0.2.1", 8810)], [("203.0.113.5", 80)]
    )
    assert [(one.address, one.port) for one in candidates] == [
        ("203.0.113.5", 80),
        ("192.0.2.1", 8810),
        ("2001:db8::1", 8810),
    ]
    priorities = [one.priority for one in candidates]
    assert priorities == sorted(priorities, reverse=True)
    assert len({one.foundation for one in candidates}) == 3
    assert sdp.candidate_line(candidates[0]) == "candidate:1 1 udp 2130706431 203.0.113.5 80 typ host"
    with pytest.raises(ValueError):
        lite_candidates([("localhost", 1)])
