"""Report blocks: loss, jitter, and the echo of sender reports."""

import pytest
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket

from sfu.formats.rtcp import SenderReport
from sfu.machines.repair.receive_statistics import ReceiveStatistics
from sfu.machines.repair.stream_progress import StreamProgress

MS = 1_000_000


class Statistics(ReceiveStatistics):
    """Fed packets by the engine's count of them."""

    def __init__(self, clock_rate):
        self._counted = StreamProgress()
        self._rate = clock_rate
        super().__init__(7, self._counted)

    def received(self, ext_seq, arrival, timestamp, **fields):
        self._counted.take(ext_seq, arrival, timestamp, clock_rate=self._rate, **fields)


def fed(*seqs, clock_rate=90_000):
    statistics = Statistics(clock_rate)
    for index, seq in enumerate(seqs):
        statistics.received(seq, index * 20 * MS, index * clock_rate // 50)
    return statistics


def test_no_block_before_the_first_packet():
    assert Statistics(90_000).report_block(0) is None


def test_an_unbroken_stream_has_no_loss_and_no_jitter():
    block = fed(*range(65_530, 65_630)).report_block(0)
    assert (block.ssrc, block.fraction_lost, block.packets_lost, block.highest_seq, block.jitter) == (
        7,
        0,
        0,
        65_629,
        0,
    )
    assert (block.last_report, block.delay) == (0, 0)


def test_loss_since_the_last_block_and_in_all():
    statistics = fed(0, 1, 3, 7)
    block = statistics.report_block(0)
    assert (block.fraction_lost, block.packets_lost) == (4 * 256 // 8, 4)
    for seq in range(8, 16):
        statistics.received(seq, 0, 0)
    block = statistics.report_block(0)
    assert (block.fraction_lost, block.packets_lost) == (0, 4)
    for seq in range(17, 20):
        statistics.received(seq, 0, 0)
    block = statistics.report_block(0)
    assert (block.fraction_lost, block.packets_lost) == (256 // 4, 5)


def test_a_late_packet_is_no_loss():
    block = fed(10, 12, 9, 11).report_block(0)
    assert (block.packets_lost, block.highest_seq) == (0, 12)


def test_repairs_do_not_hide_the_loss():
    statistics = fed(0, 2)
    statistics.received(1, 0, 0, repaired=True)
    assert statistics.report_block(0).packets_lost == 1


def test_everything_lost_is_255():
    statistics = fed(0)
    statistics.report_block(0)
    statistics.received(100_000, 0, 0)
    assert statistics.report_block(0).fraction_lost == 255


def test_a_sender_report_is_echoed_with_its_age():
    statistics = fed(0)
    statistics.sender_report(SenderReport(7, 0x0123456789ABCDEF, 0, 0, 0), 1000 * MS)
    block = statistics.report_block(1500 * MS)
    assert (block.last_report, block.delay) == (0x456789AB, 32_768)


def test_packets_of_one_frame_make_no_jitter():
    statistics = Statistics(90_000)
    for seq in range(100):
        statistics.received(seq, (seq // 10 * 33 + seq % 10) * MS, seq // 10 * 2970)
    assert statistics.report_block(0).jitter == 0


@pytest.mark.parametrize("spread", [0, 1, 7])
def test_jitter_is_that_of_aiortc(spread, monkeypatch):
    """20 ms audio packets, every other one late by `spread` ms."""
    statistics = Statistics(48_000)
    theirs = StreamStatistics(48_000)
    for index in range(200):
        arrival = (index * 20 + index % 2 * spread) * MS
        statistics.received(index, arrival, index * 960)
        monkeypatch.setattr("aiortc.rtcrtpreceiver.time.time", lambda now=arrival: now / 1e9)
        theirs.add(RtpPacket(sequence_number=index, timestamp=index * 960))
    assert statistics.report_block(0).jitter == pytest.approx(theirs.jitter, abs=1)


def test_what_we_dropped_ourselves_is_no_loss_of_the_link():
    statistics = fed(*range(10))
    statistics.received(20, 200 * MS, 18_000, ours=10)
    statistics.received(22, 220 * MS, 19_800)
    block = statistics.report_block(0)
    assert (block.packets_lost, block.fraction_lost, block.highest_seq) == (1, 256 // 23, 22)
    statistics.received(30, 300 * MS, 27_000, repaired=True, ours=7)
    statistics.received(31, 300 * MS, 27_000)
    assert statistics.report_block(0).packets_lost == 2  # 30, which redundancy brought
