"""A call of two on each engine: the requests of rooms and the engine's reports fit together."""

import pytest

from sfu.engine import available_engines
from sfu.formats import rtcp
from sfu.formats.transport_feedback import TransportFeedback
from tests.sfu.rooms.stage import DELTA, KEYFRAME, MS, SECOND, Stage, audio, publish, subscribe, video


@pytest.mark.parametrize("engine", available_engines())
def test_a_call_flows_is_repaired_and_reported(engine: str) -> None:
    stage = Stage(engine)
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    sender = publish(stage, ann)
    stage.run(200 * MS)
    subscribe(stage, bob, receiver)
    sender.send(audio(70), video(1, KEYFRAME), video(2, DELTA), video(4, DELTA))
    stage.deliver()
    assert [packet.seqs for packet in sender.feedback(rtcp.Nack)] == [(3,)]
    repair = video(3, DELTA)
    sender.send(repair._replace(payload_type=121, ssrc=2002, seq=500, payload=b"\0\3" + repair.payload))
    stage.run(2 * SECOND)
    seqs = sorted(packet.seq for packet in receiver.rtp if packet.payload_type == 96)
    assert seqs == list(range(seqs[0], seqs[0] + 4))
    assert sum(packet.payload_type == 111 for packet in receiver.rtp) == 1
    blocks = [block for report in sender.feedback(rtcp.ReceiverReport) for block in report.reports]
    # A repair that came as RTX does not make up for the loss.
    assert {(block.ssrc, block.packets_lost, block.highest_seq) for block in blocks} == {(1001, 0, 70), (2001, 1, 4)}
    acknowledged = [seq for feedback in sender.feedback(TransportFeedback) for seq in _received(feedback)]
    assert acknowledged == [1, 2, 3, 4]


def _received(feedback: TransportFeedback) -> list[int]:
    arrived = enumerate(feedback.deltas)
    return [feedback.base_seq + index for index, delta in arrived if delta is not None]
