"""SCTP packets: an independent implementation's are read, and those with wrong lengths are refused."""

import pytest
from aiortc import rtcsctptransport as aiortc_sctp
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import sctp


def packet(chunk: aiortc_sctp.Chunk) -> bytes:
    return aiortc_sctp.serialize_packet(5000, 5000, 7, chunk)


def raw(kind: int, value: bytes, length: int | None = None) -> bytes:
    length = len(value) + 4 if length is None else length
    return bytes(12) + bytes([kind, 0]) + length.to_bytes(2, "big") + value + bytes(-len(value) % 4)


def sack(*gaps: tuple[int, int], duplicates: int = 0) -> aiortc_sctp.SackChunk:
    chunk = aiortc_sctp.SackChunk()
    chunk.cumulative_tsn, chunk.advertised_rwnd = 5, 1000
    chunk.gaps, chunk.duplicates = list(gaps), [1] * duplicates
    return chunk


def test_data() -> None:
    chunk = aiortc_sctp.DataChunk(3)
    chunk.tsn, chunk.stream_id, chunk.user_data = 4_000_000_000, 9, b"hello"
    (read,) = sctp.parse(packet(chunk))
    assert (read.kind, sctp.tsn(read), sctp.streams(read)) == (sctp.DATA, 4_000_000_000, [9])


def test_acknowledgements() -> None:
    (read,) = sctp.parse(packet(sack((2, 3), (7, 9), duplicates=2)))
    assert sctp.highest_gap(read) == 9
    (read,) = sctp.parse(packet(sack(duplicates=3)))
    assert sctp.highest_gap(read) == 0


def test_streams_given_up_and_reset() -> None:
    forward = aiortc_sctp.ForwardTsnChunk()
    forward.cumulative_tsn, forward.streams = 12, [(1, 5), (300, 6)]
    assert sctp.streams(sctp.parse(packet(forward))[0]) == [1, 300]
    reset = aiortc_sctp.ReconfigChunk()
    request = aiortc_sctp.StreamResetOutgoingParam(1, 2, 3, [0, 4])
    answer = aiortc_sctp.StreamResetResponseParam(1, 1)
    reset.params = [(13, bytes(request)), (16, bytes(answer))]
    assert sctp.streams(sctp.parse(packet(reset))[0]) == [0, 4]
    assert sctp.streams(sctp.parse(packet(aiortc_sctp.ShutdownAckChunk()))[0]) == []


def test_an_init_and_its_parameters() -> None:
    init = aiortc_sctp.InitChunk()
    init.params = [(0xC000, b""), (0x8008, b"\x82\xc0\x01")]
    assert sctp.parse(packet(init))[0].kind == sctp.INIT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(15),
        raw(0, b"short"),
        raw(0, bytes(13), 3),
        raw(0, bytes(13), 40),
        raw(sctp.SACK, bytes(8) + b"\x00\x01" + bytes(2)),
        raw(sctp.SACK, bytes(8) + b"\x00\x02" + bytes(2) + b"\x00\x02\x00\x03\x00\x03\x00\x04"),
        raw(sctp.SACK, bytes(8) + b"\x00\x01" + bytes(2) + b"\x00\x03\x00\x02"),
        raw(sctp.HEARTBEAT, b"\x00\x01\x00\x00"),
        raw(sctp.HEARTBEAT, b"\x00\x01\x00\x09abc"),
        raw(sctp.FORWARD_TSN, bytes(6)),
        raw(sctp.RECONFIG, b"\x00\x0d\x00\x08" + bytes(4)),
        raw(sctp.RECONFIG, b"\x00\x0d\x00\x11" + bytes(13)),
        raw(sctp.INIT, bytes(16)) + raw(sctp.SHUTDOWN, bytes(4))[12:],
    ],
)
def test_wrong_lengths_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        sctp.parse(data)


@given(st.binary(max_size=200), st.integers(0, 255))
def test_whatever_the_bytes_it_is_chunks_or_a_value_error(value: bytes, kind: int) -> None:
    for data in (value, raw(kind, value), raw(kind, value) + raw(sctp.RECONFIG, value)[12:]):
        try:
            chunks = sctp.parse(data)
        except ValueError:
            continue
        for chunk in chunks:
            sctp.streams(chunk)
            if chunk.kind == sctp.SACK:
                assert sctp.highest_gap(chunk) < 2**16
            if chunk.kind == sctp.DATA:
                assert sctp.tsn(chunk) < 2**32
