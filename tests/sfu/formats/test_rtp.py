"""RTP packets: round trip, hostile lengths, RTX, and agreement with an independent implementation."""

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtp
from sfu.formats.rtp import RtpPacket

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
one_byte = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=6)
two_byte = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=4)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    seq=u16,
    timestamp=u32,
    ssrc=u32,
    payload=st.binary(max_size=80),
    marker=st.booleans(),
    csrcs=st.lists(u32, max_size=15).map(tuple),
    extensions=st.one_of(one_byte, two_byte).map(tuple),
    padding=st.integers(0, 255),
)


@given(packets)
def test_what_is_written_is_read(packet):
    assert rtp.parse(rtp.serialize(packet)) == packet


@given(packets)
def test_header_delimits_the_payload(packet):
    data = rtp.serialize(packet)
    header = rtp.parse_header(data)
    assert data[header.payload_offset : header.payload_end] == packet.payload
    assert header.payload_end + header.padding == len(data)
    assert rtp.content(data) == (packet.timestamp, packet.marker, header.payload_offset, header.payload_end)


@given(st.binary(max_size=120))
def test_any_bytes_give_a_packet_or_value_error(data):
    try:
        packet = rtp.parse(data)
    except ValueError:
        return
    assert rtp.parse(rtp.serialize(packet)) == packet


@given(st.binary(max_size=40))
def test_content_is_within_any_packet_or_refused(data):
    try:
        _, _, start, end = rtp.content(data)
    except ValueError:
        return
    assert rtp.HEADER_BYTES <= start <= end <= len(data)


@given(packets, st.data())
def test_a_damaged_packet_gives_a_packet_or_value_error(packet, data):
    damaged = bytearray(rtp.serialize(packet))
    for _ in range(3):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = rtp.parse_header(bytes(damaged))
    except ValueError:
        return
    assert rtp.content(bytes(damaged))[2:] == (header.payload_offset, header.payload_end)


FIXED = bytes.fromhex("80600001000000020000000c")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "shorter"),
        (FIXED[:-1], "shorter"),
        (b"\x40" + FIXED[1:], "version"),
        (b"\x82" + FIXED[1:] + b"\0\0\0\1", "CSRC"),
        (b"\x90" + FIXED[1:] + b"\xbe\xde", "extension header"),
        (b"\x90" + FIXED[1:] + b"\xbe\xde\0\2\0\0\0\0", "extension runs"),
        (b"\x90" + FIXED[1:] + b"\xbe\xde\0\1\x1f\0\0\0", "element"),
        (b"\x90" + FIXED[1:] + b"\x10\0\0\1\0\0\0\1", "no length"),
        (b"\xa0" + FIXED[1:], "padding"),
        (b"\xa0" + FIXED[1:] + b"abc\0", "padding"),
        (b"\xa0" + FIXED[1:] + b"abc\5", "padding"),
        (b"\xa0" + FIXED[1:] + b"\xff", "padding"),
    ],
)
def test_lengths_beyond_the_packet_are_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        rtp.parse_header(data)


def test_a_packet_of_padding_alone_has_no_payload():
    header = rtp.parse_header(b"\xa0" + FIXED[1:] + b"\0\0\0\4")
    assert (header.payload_offset, header.payload_end, header.padding) == (12, 12, 4)


def test_an_extension_block_of_another_profile_is_passed_over():
    packet = rtp.parse(b"\x90" + FIXED[1:] + b"\xab\xcd\0\1abcdpayload")
    assert (packet.extensions, packet.payload) == ((), b"payload")


@pytest.mark.parametrize(
    ("second", "expected"), [(0x60, False), (0x80 | 111, False), (200, True), (207, True), (0x80 | 96, False)]
)
def test_rtcp_is_told_apart_by_its_packet_type(second, expected):
    assert rtp.is_rtcp(bytes([0x80, second])) is expected


@given(packets, st.integers(0, 127), u32, u16)
def test_rtx_gives_the_original_back(packet, payload_type, ssrc, seq):
    retransmission = rtp.wrap_rtx(packet, payload_type, ssrc, seq)
    assert retransmission.payload[:2] == packet.seq.to_bytes(2, "big")
    assert rtp.unwrap_rtx(retransmission, packet.payload_type, packet.ssrc) == packet._replace(padding=0)


def test_an_empty_rtx_packet_is_a_probe_without_original():
    with pytest.raises(ValueError, match="original"):
        rtp.unwrap_rtx(RtpPacket(97, 1, 2, 3, b"\0"), 96, 4)


@given(
    st.builds(
        RtpPacket,
        payload_type=st.integers(0, 127),
        seq=u16,
        timestamp=u32,
        ssrc=u32,
        payload=st.binary(max_size=40),
        marker=st.booleans(),
        csrcs=st.lists(u32, max_size=15).map(tuple),
        extensions=st.just(()),
        padding=st.integers(0, 255),
    )
)
def test_aiortc_reads_the_same(packet):
    theirs = aiortc_rtp.RtpPacket.parse(rtp.serialize(packet))
    assert (
        theirs.payload_type,
        theirs.sequence_number,
        theirs.timestamp,
        theirs.ssrc,
        theirs.payload,
        bool(theirs.marker),
        tuple(theirs.csrc),
        theirs.padding_size,
    ) == (
        packet.payload_type,
        packet.seq,
        packet.timestamp,
        packet.ssrc,
        packet.payload,
        packet.marker,
        packet.csrcs,
        packet.padding,
    )


@pytest.mark.parametrize(
    "packet",
    [
        RtpPacket(128, 0, 0, 0),
        RtpPacket(96, 65536, 0, 0),
        RtpPacket(96, 0, -1, 0),
        RtpPacket(96, 0, 0, 1 << 32),
        RtpPacket(96, 0, 0, 0, csrcs=(0,) * 16),
        RtpPacket(96, 0, 0, 0, csrcs=(-1,)),
        RtpPacket(96, 0, 0, 0, padding=256),
        RtpPacket(96, 0, 0, 0, extensions=((0, b"a"),)),
        RtpPacket(96, 0, 0, 0, extensions=((256, b"a"),)),
        RtpPacket(96, 0, 0, 0, extensions=((1, bytes(256)),)),
    ],
)
def test_fields_that_do_not_fit_are_refused(packet):
    with pytest.raises(ValueError):
        rtp.serialize(packet)
