"""Facts are queued in order, in numbered batches, repeated until acknowledged, and bounded."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.api.fact_queue import MAX_BATCH, MAX_DELAY_SECONDS, FactQueue, Settled
from sfu.api.facts import RoomOpened


def queue(facts: int, max_waiting: int = 1000) -> FactQueue[int]:
    made: FactQueue[int] = FactQueue("n", "boot", max_waiting)
    for number in range(facts):
        made.put(RoomOpened(room="r", at=number), number)
    return made


def acknowledge(n: int) -> tuple[int, bytes]:
    return 200, msgspec.json.encode({"acknowledged": n})


def test_a_batch_keeps_its_number_and_its_facts_until_acknowledged():
    facts = queue(1)
    first = facts.batch()
    facts.put(RoomOpened(room="r", at=1), 1)
    facts.unanswered("away")
    assert facts.answered(503, b"") is None
    assert facts.answered(*acknowledge(0)) is None
    assert facts.answered(200, b"{}") is None
    assert facts.batch() is first
    assert facts.answered(*acknowledge(1)) == Settled([0], True)
    assert [fact.at for fact in facts.batch().facts] == [1]
    assert facts.batch().n == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_control_refuses_for_what_it_is_is_given_up(status):
    facts = queue(2)
    facts.batch()
    assert facts.answered(status, b"no such kind") == Settled([0, 1], False)
    assert "no such kind" in facts.problem
    assert facts.batch() is None
    assert facts.waiting == 0


def test_the_oldest_facts_are_given_up_for_want_of_room():
    facts = queue(0, max_waiting=2)
    given_up = [facts.put(RoomOpened(room="r", at=number), number) for number in range(4)]
    assert given_up == [[], [], [0], [1]]
    assert facts.waiting == 2


def test_attempts_come_at_growing_distances_and_at_once_after_a_success():
    facts = queue(MAX_BATCH + 1)
    facts.batch()
    delays = []
    for _ in range(8):
        facts.unanswered("away")
        delays.append(facts.delay)
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.2, MAX_DELAY_SECONDS)
    facts.answered(*acknowledge(1))
    assert facts.delay == 0
    assert len(facts.batch().facts) == 1


@given(st.lists(st.sampled_from(["put", "lost", "taken", "refused"]), max_size=200))
def test_every_fact_is_settled_once_and_in_order(steps):
    facts: FactQueue[int] = FactQueue("n", "boot", 5)
    settled: list[int] = []
    given_up: list[int] = []
    put = 0
    for step in steps:
        if step == "put":
            given_up += facts.put(RoomOpened(room="r", at=put), put)
            put += 1
        elif (batch := facts.batch()) is not None:
            if step == "lost":
                facts.unanswered("away")
            else:
                settled += facts.answered(*(acknowledge(batch.n) if step == "taken" else (422, b""))).notes
    assert settled == sorted(settled)
    assert len(settled) + len(given_up) + facts.waiting == put
    assert not set(settled) & set(given_up)
