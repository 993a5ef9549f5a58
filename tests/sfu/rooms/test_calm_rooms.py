"""The cost of a calm room: uneventful packets cost no Python, and a room without packets next to nothing."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from sfu.api import signaling
from sfu.engine import available_engines
from sfu.engine.contract import Datagram
from sfu.rooms.adaptation import Adaptation
from sfu.rooms.quality import RoomQuality
from sfu.rooms.speakers import Speakers
from tests.sfu.rooms.stage import DELTA, KEYFRAME, MS, RtcClient, Stage, audio, publish, subscribe, video


def room_of_four(stage: Stage) -> list[RtcClient]:
    """Everybody publishes and subscribes; returns who sends."""
    people = [stage.join(name) for name in ("ann", "bob", "cid", "dan")]
    receivers = [subscribe(stage, person) for person in people]
    senders = [publish(stage, person) for person in people]
    stage.run(500 * MS)
    for person, receiver in zip(people, receivers, strict=True):
        subscribe(stage, person, receiver)
    for sender in senders:
        sender.send(audio(1, level=40), video(1, KEYFRAME))
    stage.run(500 * MS)
    return senders


def datagrams(stage: Stage, senders: list[RtcClient], first: int, rounds: int) -> list[Datagram]:
    batch = []
    for seq in range(first, first + rounds):
        for sender in senders:
            sender.send(audio(seq, level=40), video(seq, DELTA))
    for address, client in stage.clients.items():
        batch += [Datagram(data, address, 0, stage.now) for data in client.datagrams_to_send(stage.now)]
    return [datagram for datagram in batch if datagram.data[0] >> 6 == 2]


def with_counted_calls(function: Callable[..., object], counted: list[int]) -> Callable[..., None]:
    """Return the function wrapped: it adds the number of Python calls that it makes to the last entry."""

    def count(frame: FrameType, event: str, argument: object) -> None:
        counted[-1] += event == "call"

    def run(*arguments: object) -> None:
        sys.setprofile(count)
        try:
            function(*arguments)
        finally:
            sys.setprofile(None)

    return run


def calls(stage: Stage, batches: Iterator[list[Datagram]]) -> list[int]:
    """Return how many Python functions are called for each batch that the engine has forwarded."""
    counted: list[int] = []
    receive = with_counted_calls(stage.node.receive, counted)
    for batch in batches:
        result = stage.node.context.engine.process(batch, stage.now)
        counted.append(0)
        receive(result, stage.now)
    return counted


@pytest.mark.skipif("compiled" not in available_engines(), reason="the Python engine is Python")
def test_no_python_runs_per_packet() -> None:
    stage = Stage("compiled")
    senders = room_of_four(stage)
    sizes = [13] * 10 + [2] * 10
    firsts = [2 + sum(sizes[:index]) for index in range(len(sizes))]
    batches = [datagrams(stage, senders, first, rounds) for first, rounds in zip(firsts, sizes, strict=True)]
    assert [len(batch) for batch in batches] == [8 * rounds for rounds in sizes]
    counted = calls(stage, iter(batches))
    assert sum(counted[:10]) <= 50  # of 1,040 packets
    assert max(counted[1:10]) <= max(counted[10:])  # a batch costs the same, however many packets it has
    uptracks = next(iter(stage.node.rooms.values())).uptracks.values()
    assert {stream.packets for uptrack in uptracks for stream in uptrack.streams} == {1 + sum(sizes)}


@pytest.mark.skipif("compiled" not in available_engines(), reason="the Python engine is Python")
def test_muted_people_cost_little_python(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("compiled")
    stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # the engine is one
    people = len(room_of_four(stage))
    stage.run(15 * 1000 * MS, 50 * MS)
    counted = [0]
    for verb in ("receive", "handle_timer"):
        monkeypatch.setattr(stage.node, verb, with_counted_calls(getattr(stage.node, verb), counted))
    stage.run(20 * 1000 * MS, 50 * MS)
    assert 10 * people < counted[0] < 20 * people * 65
    assert not any(client.silent or not client.ready for client in stage.clients.values())


@pytest.mark.parametrize("engine", available_engines())
def test_a_still_room_is_looked_at_rarely_and_wakes_with_the_first_packet(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(engine)
    senders = room_of_four(stage)
    stage.run(10 * 1000 * MS)
    looks: Counter[str] = Counter()
    for looked in (Speakers, Adaptation, RoomQuality):
        monkeypatch.setattr(looked, "update", counting(looks, looked.update))
    stage.run(10 * 1000 * MS)
    assert 0 < max(looks.values()) <= 11, looks
    for person in stage.people.values():
        person.told.clear()
    for seq in range(2, 22):
        senders[0].send(audio(seq, level=10))
        stage.run(20 * MS)
    for person in stage.people.values():
        assert [entry.participant for entry in person.last(signaling.Speakers).speakers] == ["ann"]


def counting(looks: "Counter[str]", function: Callable[..., object]) -> Callable[..., object]:
    """Return the function, which counts its calls under its name from now on."""

    def counted(*arguments: object) -> object:
        looks[function.__qualname__] += 1
        return function(*arguments)

    return counted
