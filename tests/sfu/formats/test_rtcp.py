"""RTCP packets: round trip, hostile lengths, and agreement with an independent implementation."""

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtcp
from sfu.formats.rtcp import (
    Bye,
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverEstimate,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    TransportFeedback,
    Unknown,
)

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
u64 = st.integers(0, 2**64 - 1)
blocks = st.lists(
    st.builds(ReportBlock, u32, u8, st.integers(-(2**23), 2**23 - 1), u32, u32, u32, u32), max_size=31
).map(tuple)
text = st.text(max_size=60)
deltas = st.one_of(st.none(), st.integers(0, 255), st.integers(-(2**15), 2**15 - 1))
sender_reports = st.builds(SenderReport, u32, u64, u32, u32, u32, blocks)
receiver_reports = st.builds(ReceiverReport, u32, blocks)
descriptions = st.builds(SourceDescription, st.lists(st.tuples(u32, text), max_size=31).map(tuple))
byes = st.builds(Bye, st.lists(u32, max_size=31).map(tuple), text)
nacks = st.builds(Nack, u32, u32, st.lists(u16, min_size=1, max_size=60).map(tuple))
plis = st.builds(PictureLoss, u32, u32)
firs = st.builds(FullIntraRequest, u32, st.lists(st.tuples(u32, u8), max_size=20).map(tuple))
estimates = st.builds(
    ReceiverEstimate,
    u32,
    st.builds(lambda mantissa, exponent: mantissa << exponent, st.integers(0, 2**18 - 1), st.integers(0, 40)),
    st.lists(u32, max_size=20).map(tuple),
)
feedbacks = st.builds(
    TransportFeedback,
    u32,
    u32,
    u16,
    st.integers(-(2**23), 2**23 - 1),
    u8,
    st.lists(deltas, min_size=1, max_size=120).map(tuple),
)
unknowns = st.builds(
    Unknown,
    st.sampled_from([192, 204, 207, 209]),
    st.integers(0, 31),
    st.integers(0, 10).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
)
packets = st.one_of(
    sender_reports, receiver_reports, descriptions, byes, nacks, plis, firs, estimates, feedbacks, unknowns
)


@given(st.lists(packets, min_size=1, max_size=5))
def test_what_is_written_is_read(compound):
    data = rtcp.serialize(compound)
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == compound


@given(st.binary(max_size=100))
def test_any_bytes_give_packets_or_value_error(data):
    try:
        rtcp.parse(data)
    except ValueError:
        return


@given(st.lists(st.one_of(receiver_reports, descriptions, plis), min_size=1, max_size=3))
def test_reports_alone_are_read_as_parse_reads_them(values: list[rtcp.Packet]) -> None:
    first, *rest = values
    is_alone = isinstance(first, ReceiverReport) and (
        not rest or (len(rest) == 1 and isinstance(rest[0], SourceDescription))
    )
    blocks = rtcp.reports_alone(rtcp.serialize(values))
    if isinstance(first, ReceiverReport) and is_alone:
        assert blocks == list(first.reports)
    else:
        assert blocks is None


@given(st.lists(st.one_of(sender_reports, receiver_reports, descriptions), min_size=1, max_size=3))
def test_a_sender_report_alone_is_read_as_parse_reads_it(values: list[rtcp.Packet]) -> None:
    data = rtcp.serialize(values)
    first, *rest = values
    is_alone = isinstance(first, SenderReport) and not first.reports
    is_alone = is_alone and (not rest or (len(rest) == 1 and isinstance(rest[0], SourceDescription)))
    assert rtcp.sender_report_alone(data) == (first if is_alone else None)
    assert rtcp.has_reports_only(data)
    assert not rtcp.has_reports_only(data + rtcp.serialize([rtcp.Bye((1,))]))


@given(sender_reports, st.binary(max_size=40), st.integers(0, 40), st.integers(0, 7), u8)
def test_what_parse_refuses_is_no_sender_report_alone(
    report: SenderReport, tail: bytes, cut: int, place: int, byte: int
) -> None:
    data = bytearray(rtcp.serialize([report]) + tail)
    data[place] = byte
    hostile = bytes(data[: len(data) - cut])
    alone = rtcp.sender_report_alone(hostile)
    assert alone is None or rtcp.parse(hostile)[0] == alone


@given(receiver_reports, st.binary(max_size=40), st.integers(0, 40), st.integers(0, 7), u8)
def test_what_parse_refuses_is_no_report_alone(
    report: ReceiverReport, tail: bytes, cut: int, place: int, byte: int
) -> None:
    data = bytearray(rtcp.serialize([report]) + tail)
    data[place] = byte
    hostile = bytes(data[: len(data) - cut])
    try:
        packets = rtcp.parse(hostile)
    except ValueError:
        assert rtcp.reports_alone(hostile) is None
        return
    blocks = rtcp.reports_alone(hostile)
    assert blocks is None or (isinstance(packets[0], ReceiverReport) and blocks == list(packets[0].reports))


@given(st.lists(packets, min_size=1, max_size=3), st.data())
def test_a_damaged_compound_gives_packets_or_value_error(compound, data):
    damaged = bytearray(rtcp.serialize(compound))
    for _ in range(3):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        rtcp.parse(bytes(damaged))
    except ValueError:
        return


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "empty"),
        ("81c9", "shorter"),
        ("01c90001 00000001", "version"),
        ("81c90002 00000001", "runs past"),
        ("81c90001 00000001", "fewer blocks"),
        ("80c80001 00000001", "truncated"),
        ("80c90000", "truncated"),
        ("a0c90001 00000000", "padding"),
        ("a0c90001 00000005", "padding"),
        ("a0c90001 000000ff", "padding"),
        ("82ca0003 00000001 01016100 00000002", "end"),
        ("81ca0002 00000001 01ff6100", "item"),
        ("81ca0001 00000001", "end"),
        ("82cb0001 00000001", "BYE"),
        ("81cb0002 00000001 ff616263", "BYE reason"),
        ("81cd0002 00000001 00000002", "NACK"),
        ("81cd0000", "SSRCs"),
        ("84ce0003 00000001 00000002 00000003", "FIR"),
        ("8fce0003 00000001 00000000 52454d42", "REMB"),
        ("8fce0004 00000001 00000000 52454d42 05000000", "REMB"),
        ("8fcd0003 00000001 00000002 00010001", "truncated"),
        ("8fcd0004 00000001 00000002 00010000 00000000", "no packets"),
        ("8fcd0004 00000001 00000002 0001ffff 00000000", "too many"),
        ("8fcd0004 00000001 00000002 00010001 00000000", "chunks"),
        ("8fcd0005 00000001 00000002 00010001 00000000 60010000", "reserved"),
        ("8fcd0005 00000001 00000002 00010003 00000000 20030102", "deltas"),
    ],
)
def test_lengths_beyond_the_packet_are_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        rtcp.parse(bytes.fromhex(data))


def test_packets_of_no_use_do_not_cost_the_rest():
    extended_report = Unknown(207, 0, bytes.fromhex("00000001 04000002 0000000100000002"))
    compound = [ReceiverReport(1), extended_report, Unknown(206, 15, b"AAAABBBBxyz1"), PictureLoss(1, 2)]
    assert rtcp.parse(rtcp.serialize(compound)) == compound


def test_padding_of_the_last_packet_is_removed():
    assert rtcp.parse(bytes.fromhex("a1ce0003 00000001 00000002 00000004")) == [PictureLoss(1, 2)]


def test_nack_pairs_are_compact():
    seqs = (65530, 65533, 65535, 0, 10, 11)
    data = rtcp.serialize([Nack(1, 2, seqs)])
    assert len(data) == 12 + 2 * 4
    assert rtcp.parse(data) == [Nack(1, 2, seqs)]


def test_remb_rounds_down_to_18_significant_bits():
    [estimate] = rtcp.parse(rtcp.serialize([ReceiverEstimate(1, 123_456_789, (2,))]))
    assert isinstance(estimate, ReceiverEstimate)
    assert 0 <= 123_456_789 - estimate.bitrate < 123_456_789 / 2**17


@pytest.mark.parametrize(
    "packet",
    [
        ReceiverReport(1, (ReportBlock(1, 0, 0, 0, 0),) * 32),
        ReceiverReport(1 << 32),
        SenderReport(1, 1 << 64, 0, 0, 0),
        ReceiverReport(1, (ReportBlock(1, 0, 1 << 23, 0, 0),)),
        ReceiverReport(1, (ReportBlock(1, 256, 0, 0, 0),)),
        SourceDescription(((1, "x" * 256),)),
        Bye((), "x" * 256),
        Nack(1, 2, ()),
        Nack(1, 2, (65536,)),
        ReceiverEstimate(1, 1 << 82, ()),
        TransportFeedback(1, 2, 3, 1 << 23, 0, (1,)),
        TransportFeedback(1, 2, 3, 0, 0, ()),
        TransportFeedback(1, 2, 3, 0, 0, (1 << 15,)),
        Unknown(204, 0, b"abc"),
    ],
)
def test_fields_that_do_not_fit_are_refused(packet):
    with pytest.raises(ValueError):
        rtcp.serialize([packet])


class TestAgainstAiortc:
    """aiortc reads what we write."""

    @given(sender_reports)
    def test_sender_report(self, report):
        [theirs] = aiortc_rtp.RtcpPacket.parse(rtcp.serialize([report]))
        info = theirs.sender_info
        assert (theirs.ssrc, info.ntp_timestamp, info.rtp_timestamp, info.packet_count, info.octet_count) == (
            report.ssrc,
            report.ntp,
            report.rtp_timestamp,
            report.packets,
            report.octets,
        )
        self.same_blocks(theirs.reports, report.reports)

    @given(receiver_reports)
    def test_receiver_report(self, report):
        [theirs] = aiortc_rtp.RtcpPacket.parse(rtcp.serialize([report]))
        assert theirs.ssrc == report.ssrc
        self.same_blocks(theirs.reports, report.reports)

    def same_blocks(self, theirs, ours):
        assert [
            (
                block.ssrc,
                block.fraction_lost,
                block.packets_lost,
                block.highest_sequence,
                block.jitter,
                block.lsr,
                block.dlsr,
            )
            for block in theirs
        ] == [
            (
                block.ssrc,
                block.fraction_lost,
                block.packets_lost,
                block.highest_seq,
                block.jitter,
                block.last_report,
                block.delay,
            )
            for block in ours
        ]

    @given(nacks)
    def test_nack(self, nack):
        [theirs] = aiortc_rtp.RtcpPacket.parse(rtcp.serialize([nack]))
        lost = tuple(seq & 0xFFFF for seq in theirs.lost)
        assert (theirs.fmt, theirs.ssrc, theirs.media_ssrc, lost) == (
            1,
            nack.sender_ssrc,
            nack.media_ssrc,
            nack.seqs,
        )

    @given(estimates)
    def test_receiver_estimate(self, estimate):
        [theirs] = aiortc_rtp.RtcpPacket.parse(rtcp.serialize([estimate]))
        assert aiortc_rtp.unpack_remb_fci(theirs.fci) == (estimate.bitrate, list(estimate.ssrcs))

    @given(st.lists(u32, max_size=31))
    def test_bye(self, ssrcs):
        [theirs] = aiortc_rtp.RtcpPacket.parse(rtcp.serialize([Bye(tuple(ssrcs))]))
        assert theirs.sources == ssrcs

    def test_source_description(self):
        """One chunk alone: aiortc does not align the next one to a word (RFC 3550, section 6.5)."""
        [theirs] = aiortc_rtp.RtcpPacket.parse(rtcp.serialize([SourceDescription(((1, "alice"),))]))
        assert [(chunk.ssrc, chunk.items) for chunk in theirs.chunks] == [(1, [(1, b"alice")])]


def test_feedback_is_split_into_datagrams_that_pass_everywhere():
    packets = [rtcp.ReceiverReport(1), rtcp.SourceDescription(((1, "name"),))]
    packets += [rtcp.Nack(1, ssrc, tuple(range(0, 20 * 17, 17))) for ssrc in range(100)]
    datagrams = rtcp.serialize_within(packets)
    assert len(datagrams) > 3
    assert all(len(datagram) <= 1200 for datagram in datagrams)
    assert [packet for datagram in datagrams for packet in rtcp.parse(datagram)] == packets


def test_a_report_is_not_parted_from_its_description():
    nack = rtcp.Nack(1, 2, tuple(range(0, 287 * 17, 17)))
    report, names = rtcp.ReceiverReport(1, (rtcp.ReportBlock(2, 0, 0, 0, 0),)), rtcp.SourceDescription(((1, "name"),))
    parts = rtcp.serialize_within([nack, report, names])
    assert [rtcp.parse(part) for part in parts] == [[nack], [report, names]]


def test_a_report_at_the_end_is_kept():
    report = rtcp.ReceiverReport(1)
    nack = rtcp.Nack(1, 2, tuple(range(0, 4855, 17)))
    assert [packet for part in rtcp.serialize_within([nack, report]) for packet in rtcp.parse(part)] == [nack, report]
    assert rtcp.serialize_within([]) == []
