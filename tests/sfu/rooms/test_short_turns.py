"""The node's work in turns: between two of them the sockets are read, so a turn must be short, whatever waits."""

import pytest

from sfu.engine import available_engines
from sfu.engine.contract import Datagram
from tests.sfu.rooms.stage import DELTA, KEYFRAME, VIDEO, RtcClient, Stage, publish, subscribe, video
from tests.sfu.rooms.test_calm_rooms import with_counted_calls

PACKETS = 60


def first_packets(stage: Stage, cameras: list[RtcClient]) -> list[Datagram]:
    """Return the beginning of each camera's video; its SSRC is known from its packets only."""
    for camera in cameras:
        camera.send(*(video(seq, DELTA if seq > 1 else KEYFRAME) for seq in range(1, PACKETS + 1)))
    return [
        Datagram(data, address, 0, stage.now)
        for address, client in stage.clients.items()
        for data in client.datagrams_to_send(stage.now)
    ]


@pytest.mark.skipif("compiled" not in available_engines(), reason="the Python engine is Python")
def test_many_cameras_that_begin_at_once_are_taken_in_short_turns() -> None:
    stage = Stage("compiled")
    people = [stage.join(f"p{number}", room=f"r{number // 4}") for number in range(16)]
    viewers = [subscribe(stage, person) for person in people]
    cameras = [publish(stage, person, [VIDEO]) for person in people]
    stage.run(1_000_000_000)
    for person, viewer in zip(people, viewers, strict=True):
        subscribe(stage, person, viewer)
    stage.run(1_000_000_000)
    node = stage.node
    node.put(node.context.engine.process(first_packets(stage, cameras), stage.now), stage.now)
    turns: list[int] = []
    work = with_counted_calls(node.work, turns)
    while node.has_work:
        turns.append(0)
        work(stage.now)
    assert len(turns) > len(cameras) / 2
    assert max(turns) <= 700, sorted(turns)[-5:]
    uptracks = [uptrack for room in node.rooms.values() for uptrack in room.uptracks.values()]
    assert sum(stream.packets for uptrack in uptracks for stream in uptrack.streams) == len(cameras) * PACKETS
