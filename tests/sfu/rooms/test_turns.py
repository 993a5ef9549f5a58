"""Turns: work from media and timers is done a little of each kind at a time, in order, and bounded."""

import pytest

from sfu.engine.contract import Arrival, ArrivalFlag, Datagram, Leftover, LeftoverKind, Result
from sfu.rooms import publishing
from tests.sfu.rooms.stage import DELTA, MS, VIDEO, Stage, publish, video

_CHECK = Leftover(LeftoverKind.STUN, -1, b"nonsense", ("192.0.2.9", 1), 0, 0)


def arrival(ext_seq: int, flags: int = 0) -> Arrival:
    return Arrival(1, 2, ext_seq, 0, ext_seq * MS, 0, 100, ArrivalFlag(flags))


def test_a_flood_is_worked_off_in_small_parts_and_the_rest_gets_its_turns_too() -> None:
    stage = Stage()
    stage.join("ann")
    stage.node.put(Result(leftovers=[_CHECK] * 1000), stage.now)
    assert stage.node.context.counters["stun_malformed"] == 0
    assert stage.node.work(stage.now)
    assert 0 < stage.node.context.counters["stun_malformed"] < 100
    room = stage.node.timer()
    assert room is not None
    stage.node.wake(room)
    assert stage.node.work(room)
    again = stage.node.timer()
    assert again is not None and again > room  # the room's tick did not wait for the end of the flood
    while stage.node.work(room):
        pass
    assert stage.node.context.counters["stun_malformed"] == 1000


def test_those_whose_timers_are_due_act_in_order_and_once() -> None:
    stage = Stage()
    for name in range(20):
        stage.join("ann", room=f"room-{name}")
    due = stage.now + 300 * MS
    before = stage.node.context.schedule.next()
    assert before is not None
    stage.node.wake(due)
    stage.node.wake(due)
    turns = 0
    while stage.node.work(due):
        turns += 1
    assert turns >= 4
    after = stage.node.timer()
    assert after is not None and after > due


def test_arrivals_that_found_no_room_are_counted() -> None:
    stage = Stage()
    stage.node.put(Result(arrivals=[arrival(number) for number in range(20_000)]), stage.now)
    assert 0 < stage.node.context.counters["arrivals_overlooked"] < 20_000
    while stage.node.work(stage.now):
        pass


def test_many_packets_of_an_unknown_stream_take_one_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred publishers begin at once: thousands of packets wait before the first of each has had its turn."""
    stage = Stage()
    ann = publish(stage, stage.join("ann"), [VIDEO])
    ann.send(*(video(seq, DELTA, mid="0" if seq < 3 else "") for seq in range(100)))
    ((address, _),) = stage.clients.items()
    batch = [Datagram(data, address, 0, stage.now) for data in ann.datagrams_to_send(stage.now)]
    decided: list[Leftover] = []
    decide = publishing.unknown_ssrc
    monkeypatch.setattr(publishing, "unknown_ssrc", lambda *about: decided.append(about[2]) or decide(*about))
    stage.node.receive(stage.node.context.engine.process(batch, stage.now), stage.now)
    (participant,) = stage.node.rooms["r"].own()
    assert participant.publish is not None
    (stream,) = participant.publish.streams.values()
    assert len(decided) == 1
    assert stream.packets == 65
    assert stage.node.context.counters["leftovers_overlooked"] == 35
