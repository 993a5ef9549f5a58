"""Splitting a plain transport's large packets: numbers, repeated packets, and feedback to the sender."""

from collections import Counter

import pytest

from sfu.engine.contract import Datagram, Drop
from sfu.formats import rtcp
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, parse, serialize
from sfu.peers.publish.resizer import MAX_PACKET_BYTES, Resizer

VP8_DELTA = b"\x90\x80\x80\x01\x11"
SSRC, RTX_SSRC = 5, 6


class Cut:
    """A resizer of one VP8 track with RTX."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.drops: Counter[Drop] = Counter()
        self.resizer = Resizer({96: Codec.VP8}, {97: 96}, self.counters, self.drops)

    def seqs(self, *packets: RtpPacket) -> list[int]:
        """Return the sequence numbers that the engine gets for packets."""
        datagrams = [Datagram(serialize(packet), ("127.0.0.1", 9), 3, 77) for packet in packets]
        cut = self.resizer.resize(datagrams)
        assert all((entry.source, entry.local, entry.arrival) == (("127.0.0.1", 9), 3, 77) for entry in cut)
        assert all(len(entry.data) <= MAX_PACKET_BYTES for entry in cut)
        assert all(parse(entry.data).ssrc == SSRC for entry in cut)
        return [parse(entry.data).seq for entry in cut]


def picture(seq: int, size: int = 100) -> RtpPacket:
    return RtpPacket(96, seq, 3000, SSRC, VP8_DELTA.ljust(size, b"\1"), marker=True)


def repeated(seq: int, size: int = 100) -> RtpPacket:
    return RtpPacket(97, 900, 3000, RTX_SSRC, seq.to_bytes(2, "big") + VP8_DELTA.ljust(size, b"\1"), marker=True)


@pytest.fixture
def cut() -> Cut:
    return Cut()


def test_large_packets_are_cut_and_what_follows_is_shifted(cut: Cut) -> None:
    assert cut.seqs(picture(1), picture(2, 1460), picture(3), picture(4, 2500), picture(5)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert cut.counters["packets_split"] == 2


def test_a_packet_that_comes_by_rtx_is_cut_as_it_would_have_been(cut: Cut) -> None:
    assert cut.seqs(picture(1, 1460), picture(2)) == [1, 2, 3]
    assert cut.seqs(repeated(1, 1460)) == [1, 2]


def test_a_lost_packet_is_asked_for_by_the_number_that_the_sender_knows(cut: Cut) -> None:
    assert cut.seqs(picture(1, 1460), picture(3)) == [1, 2, 4]
    asked = cut.resizer.to_sender(rtcp.Nack(1, SSRC, (3,)))
    assert asked == rtcp.Nack(1, SSRC, (2,))
    assert cut.seqs(repeated(2)) == [3]
    both_parts = cut.resizer.to_sender(rtcp.Nack(1, SSRC, (1, 2)))
    assert both_parts == rtcp.Nack(1, SSRC, (1,))


def test_reports_name_the_newest_number_that_the_sender_knows(cut: Cut) -> None:
    cut.seqs(picture(1, 1460), picture(2, 1460), picture(3))
    block = rtcp.ReportBlock(SSRC, 0, 0, 5, 0)
    report = cut.resizer.to_sender(rtcp.ReceiverReport(1, (block, block._replace(ssrc=99))))
    assert isinstance(report, rtcp.ReceiverReport)
    assert [one.highest_seq for one in report.reports] == [3, 5]


def test_rtcp_sound_and_what_does_not_parse_pass_as_they_are(cut: Cut) -> None:
    others = [b"\x80\xc8" + bytes(30), serialize(RtpPacket(111, 1, 1, 9, bytes(1400))), b"\x80", bytes(1500)]
    datagrams = [Datagram(data, ("127.0.0.1", 9), 3, 77) for data in others]
    assert cut.resizer.resize(datagrams) == datagrams


def test_rtx_of_a_stream_that_has_not_begun_is_dropped(cut: Cut) -> None:
    assert cut.seqs(repeated(1)) == []
    assert cut.drops == {Drop.UNKNOWN_SSRC: 1}


def test_many_streams_keep_no_more_than_their_bound(cut: Cut) -> None:
    for ssrc in range(100):
        cut.resizer.resize([Datagram(serialize(picture(1)._replace(ssrc=ssrc)), ("127.0.0.1", 9), 3, 77)])
    assert len(cut.resizer._numbers) == 32
