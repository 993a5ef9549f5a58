"""A subscriber's feedback, analysed by every engine alike: losses, reordering, probes, pauses, wraps."""

import random

import pytest

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import RouteSource, StreamEntry
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.feedback_analyser import FeedbackAnalyser, FeedbackSummary
from sfu.machines.congestion.overuse import Usage
from sfu.machines.congestion.send_history import SentKind, SentPacket
from sfu.machines.repair.twcc_receiver import TwccReceiver
from tests.sfu.engine.table import AUDIO, MILLISECOND, one_to_one, opus, vp8
from tests.sfu.engine.test_sent_records import Reporting

SECOND = 1000 * MILLISECOND


@pytest.mark.parametrize("seed", range(6))
def test_engines_observe_alike(seed: int) -> None:
    dice = random.Random(seed)
    engines: list[Reporting] = [create_engine(name) for name in available_engines()]
    sides = [one_to_one(engine) for engine in engines]
    for engine in engines:
        engine.report_sent(2, True)
    receiver = TwccReceiver(1)
    seq = sent = 0
    now = dice.randrange(1, 1000) * SECOND
    seen: list[FeedbackSummary] = []
    for step in range(1500):
        now += dice.choice([5, 10, 20, 33, 33, 33, 900 if dice.random() < 0.01 else 33]) * MILLISECOND
        count = dice.randrange(1, 12)
        packets = [vp8(seq + k, now // 11_111, key=step == 0, start=k == 0, body=bytes(200)) for k in range(count)]
        for engine, (publisher, _) in zip(engines, sides, strict=True):
            assert len(engine.process([publisher.protect(packet) for packet in packets], now).outgoing) == count
        seq += count
        delays = [dice.choice([10, 11, 12, 60 if dice.random() < 0.01 else 10]) * MILLISECOND for _ in range(count)]
        for delay in delays:
            if dice.random() > 0.04:
                receiver.received(sent & 0xFFFF, now + delay, 1)
            sent += 1
        cluster = dice.choice([-1, -1, -1, step])
        assert len({engine.claim(2, cluster) for engine in engines}) == 1
        for message in receiver.due(now):
            whole = dice.random() < 0.2
            answers = [engine.observe(2, message, now + 80 * MILLISECOND, whole=whole) for engine in engines]
            assert all(answer == answers[0] for answer in answers)
            if answers[0] is not None:
                seen.append(answers[0])
    assert any(summary.rates for summary in seen)
    assert len({summary.usage for summary in seen}) > 1
    assert any(summary.overused for summary in seen)
    assert any(summary.losses is not None and summary.losses.lost for summary in seen)
    assert any(summary.results for summary in seen)


@pytest.mark.parametrize("shown", [0.0, 0.1, 1.0])
def test_engines_count_losses_alike_beside_copies_of_sound(shown: float) -> None:
    """A picture with that probability, and sound every 20 ms; one packet in five is lost, of sound its copy arrives."""
    dice = random.Random(int(shown * 10))
    engines: list[Reporting] = [create_engine(name) for name in available_engines()]
    sides = [one_to_one(engine) for engine in engines]
    for engine, (_, subscriber) in zip(engines, sides, strict=True):
        engine.report_sent(2, True)
        engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
        subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
        engine.switch_route(2, RouteSource(3, at_keyframe=False))
        engine.copy_audio(2, 1)
    receiver = TwccReceiver(1)
    sent = seq = lost = packets = 0
    for step in range(1500):
        now = SECOND + step * 20 * MILLISECOND
        batch = [opus(step, step * 960)]
        if step == 0 or dice.random() < shown:
            batch.append(vp8(seq, now // 11_111, key=step == 0, start=True, body=bytes(200)))
            seq += 1
        for engine, (publisher, _) in zip(engines, sides, strict=True):
            engine.process([publisher.protect(packet, now) for packet in batch], now)
        for packet in batch:
            if packet is batch[0] or dice.random() > 0.2:
                receiver.received(sent & 0xFFFF, now + 10 * MILLISECOND, 1)
            sent += 1
        for message in receiver.due(now):
            answers = [engine.observe(2, message, now + 80 * MILLISECOND) for engine in engines]
            assert all(answer == answers[0] for answer in answers)
            if answers[0] is not None and answers[0].losses is not None:
                lost += answers[0].losses.lost
                packets += answers[0].losses.packets
    share = lost / packets
    assert share == 0 if not shown else 0.15 < share < 0.25 if shown == 1.0 else 0.01 < share < 0.25


def test_an_observation_sums_up_a_message() -> None:
    observer = FeedbackAnalyser()
    for seq in range(4):
        observer.sent(SentPacket(seq, 7, seq, 1000, (100 + 10 * seq) * MILLISECOND, SentKind.VIDEO))
    observer.claim(5)
    summary = observer.observe(TransportFeedback(1, 7, 0, 2, 0, (40, 40, None, 80)), 200 * MILLISECOND)
    assert summary is not None
    assert summary.round_trip == 70 * MILLISECOND
    assert summary.smallest_delay == 38 * MILLISECOND
    assert [result.cluster for result in summary.results] == [5, 5, 5]
    assert summary.rates == ()
    assert (summary.overused, summary.usage) == (False, Usage.NORMAL)
    assert (summary.burst, summary.queueing) == (1000, 0)
    assert summary.losses is None
    assert observer.observe(TransportFeedback(1, 7, 0, 2, 0, (40, 40, None, 80)), 200 * MILLISECOND) is None


@pytest.mark.parametrize("name", available_engines())
def test_reference_times_that_run_away_do_no_harm(name: str) -> None:
    engine: Reporting = create_engine(name)
    publisher, _ = one_to_one(engine)
    engine.report_sent(2, True)
    for step in range(6000):
        if step % 100 == 0:
            engine.process([publisher.protect(vp8(step // 100, step, key=step == 0))], 0)
        engine.observe(2, TransportFeedback(1, 1, step // 100, step * 0x7FFFFF & 0x7FFFFF, 0, (0,)), 0)
    assert engine.claim(2).packets == 60
