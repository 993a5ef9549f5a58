"""Uneventful feedback is folded into periodic summaries by every engine alike; the rest is reported at once."""

import random

import pytest

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import Datagram, Result
from sfu.formats import rtcp
from sfu.machines.repair.twcc_receiver import TwccReceiver
from tests.sfu.engine.table import MILLISECOND, Publisher, one_to_one, vp8
from tests.sfu.engine.test_sent_records import Reporting

SECOND = 1000 * MILLISECOND
SOURCE = ("10.0.0.2", 50_002)
DELAY = 10 * MILLISECOND


class Call:
    """The same call on each engine, with a subscriber that gives feedback."""

    def __init__(self, now: int = 5 * SECOND) -> None:
        self.now = now
        self.engines: list[Reporting] = [create_engine(name) for name in available_engines()]
        self.publishers: list[Publisher] = []
        self.receiver = TwccReceiver(1)
        self._seq = 0
        for engine in self.engines:
            self.publishers.append(one_to_one(engine)[0])
            engine.set_unprotected(2)
            engine.admit_source(2, SOURCE, 0)
            engine.report_sent(2, True)
            engine.fold(2, SECOND // 4)

    def send(self, count: int, *, delay: int = DELAY, lost: tuple[int, ...] = ()) -> None:
        """Send a frame, which arrives after `delay`."""
        packets = [vp8(self._seq + k, self.now // 11_111, key=self._seq + k == 0, start=k == 0) for k in range(count)]
        for engine, publisher in zip(self.engines, self.publishers, strict=True):
            assert len(engine.process([publisher.protect(packet) for packet in packets], self.now).outgoing) == count
        for k in range(count):
            if k not in lost:
                self.receiver.received(self._seq + k & 0xFFFF, self.now + delay, 1)
        self._seq += count

    def feedback(self) -> list[bytes]:
        return [rtcp.serialize([message]) for message in self.receiver.due(self.now)]

    def hear(self, *compounds: bytes) -> Result:
        """Return the engines' result for RTCP from the subscriber; they must agree."""
        batch = [Datagram(compound, SOURCE, 0, self.now) for compound in compounds]
        results = [engine.process(batch, self.now) for engine in self.engines]
        assert all(result == results[0] for result in results)
        return results[0]

    def calm(self, seconds: float) -> int:
        """Continue without unusual feedback; return the number of summaries."""
        told = 0
        for step in range(int(seconds * 30)):
            self.now += 33 * MILLISECOND
            self.send(4)
            if step % 3 == 2:
                result = self.hear(*self.feedback())
                assert result.leftovers == []
                told += len(result.observed)
        return told


def test_calm_feedback_is_told_a_few_times_a_second() -> None:
    call = Call()
    call.calm(1)
    assert 10 <= call.calm(4) <= 17


def test_who_judges_says_how_long_calm_feedback_is_folded() -> None:
    call = Call()
    call.calm(1)
    for engine in call.engines:
        engine.fold(2, SECOND)
    assert 4 <= call.calm(5) <= 6
    call.now += 120 * MILLISECOND
    call.hear(*call.feedback())
    call.send(5, lost=(2,))
    call.now += 120 * MILLISECOND
    assert len(call.hear(*call.feedback()).observed) == 1
    for engine in call.engines:
        engine.fold(2, 0)
    call.send(3)
    call.now += 120 * MILLISECOND
    assert [leftover.kind.name for leftover in call.hear(*call.feedback()).leftovers] == ["RTCP"]


def test_what_is_folded_is_told_in_the_end() -> None:
    call = Call()
    call.calm(2)
    told = []
    for _ in range(6):
        call.now += 100 * MILLISECOND
        call.send(4)
        told += call.hear(*call.feedback()).observed
    summary = told[0].summary
    assert told[0].peer == 2
    assert summary.smallest_delay is not None
    assert not summary.overused
    assert summary.results == ()
    assert summary.burst > 0


def test_a_loss_is_told_at_once() -> None:
    call = Call()
    call.calm(2)
    call.hear(*call.feedback())
    call.send(5, lost=(2,))
    call.now += 120 * MILLISECOND
    assert len(call.hear(*call.feedback()).observed) == 1


def test_a_queue_is_told_at_once() -> None:
    call = Call()
    call.calm(2)
    for _ in range(2):
        call.send(3, delay=DELAY + 20 * MILLISECOND)
        call.now += 120 * MILLISECOND
        (told,) = call.hear(*call.feedback()).observed
    assert told.summary.queueing >= 19 * MILLISECOND


def test_a_gap_of_seconds_within_a_message_is_no_queue() -> None:
    call = Call()
    call.calm(2)
    call.now += 120 * MILLISECOND
    call.hear(*call.feedback())
    call.send(3)
    call.now += 5 * SECOND
    call.send(3)
    call.now += 120 * MILLISECOND
    (told,) = call.hear(*call.feedback()).observed
    assert told.summary.queueing <= MILLISECOND
    assert told.summary.smallest_delay is not None


def test_a_probe_s_results_are_left_to_policy() -> None:
    call = Call()
    call.calm(1)
    call.send(3)
    for engine in call.engines:
        engine.claim(2, 7)
    call.now += 120 * MILLISECOND
    assert [leftover.kind.name for leftover in call.hear(*call.feedback()).leftovers] == ["RTCP"]
    call.now += 3 * SECOND
    assert call.calm(1) > 0


def test_the_rest_of_a_compound_packet_is_left_over() -> None:
    call = Call()
    call.calm(1)
    call.send(3)
    call.now += 120 * MILLISECOND
    report = rtcp.serialize([rtcp.ReceiverReport(1, ())])
    nack = rtcp.serialize([rtcp.Nack(1, 2, (3,))])
    result = call.hear(report + b"".join(call.feedback()) + nack)
    assert [leftover.data for leftover in result.leftovers] == [report + nack]


def report(*fractions: int) -> bytes:
    """A receiver report of such losses."""
    blocks = [rtcp.ReportBlock(number, fraction, 0, 0, 0) for number, fraction in enumerate(fractions)]
    return rtcp.serialize([rtcp.ReceiverReport(1, tuple(blocks))])


def test_a_report_that_nothing_is_lost_is_told_now_and_then() -> None:
    call = Call()
    for engine in call.engines:
        engine.fold(2, 4 * SECOND)
    told = 0
    for _ in range(12):
        call.now += SECOND
        told += len(call.hear(report(0, 0)).leftovers)
    assert told == 3


def test_a_report_of_losses_and_of_their_end_is_told_at_once() -> None:
    call = Call()
    for engine in call.engines:
        engine.fold(2, 4 * SECOND)
    reports = [report(0, 0), report(0, 0), report(0, 3), report(0, 3), report(0, 0), report(0, 0)]
    told = []
    for compound in reports:
        call.now += SECOND // 2
        told += [leftover.data for leftover in call.hear(compound).leftovers]
    assert told == [reports[0], *reports[2:5]]


def test_reports_are_left_over_where_nothing_is_folded() -> None:
    call = Call()
    for engine in call.engines:
        engine.fold(2, 0)
    assert len(call.hear(report(0), report(0)).leftovers) == 2


@pytest.mark.parametrize("seed", range(4))
def test_engines_fold_alike_whatever_comes(seed: int) -> None:
    dice = random.Random(seed)
    call = Call(dice.randrange(1, 1000) * SECOND)
    told = left = 0
    for _ in range(700):
        call.now += dice.choice([5, 20, 33, 33, 300]) * MILLISECOND
        lost = tuple(range(dice.randrange(1, 4))) if dice.random() < 0.03 else ()
        jitter = dice.choice([0, 0, 0, 1, 2, 30 if dice.random() < 0.1 else 0])
        call.send(dice.randrange(1, 9), delay=DELAY + jitter * MILLISECOND, lost=lost)
        if dice.random() < 0.01:
            for engine in call.engines:
                engine.claim(2, 3)
        if dice.random() < 0.4:
            continue
        compounds = call.feedback()
        if dice.random() < 0.3:
            compounds.append(report(*[dice.choice([0, 0, 0, 5]) for _ in range(dice.randrange(3))]))
        if dice.random() < 0.2:
            hostile = bytearray(b"".join(compounds) or bytes(8))
            for _ in range(dice.randrange(1, 4)):
                hostile[dice.randrange(len(hostile))] = dice.randrange(256)
            compounds.append(bytes(hostile))
        result = call.hear(*compounds)
        told += len(result.observed)
        left += len(result.leftovers)
    assert told > 50
    assert left > 0
