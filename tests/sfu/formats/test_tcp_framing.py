"""Frames on TCP: the same datagrams however the bytes are split; too long ones are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.tcp_framing import MAX_FRAME_BYTES, Deframer, frame

datagrams = st.lists(st.binary(min_size=1, max_size=60), max_size=10)


@given(datagrams, st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_there_and_back_however_it_is_cut(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame, sent))
    deframer = Deframer()
    received = []
    at = turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        received += deframer.feed(stream[at : at + size])
        at += size
        turn += 1
    assert received == sent


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_whatever_comes_little_is_kept(pieces: list[bytes]) -> None:
    deframer = Deframer()
    try:
        for piece in pieces:
            assert all(0 < len(datagram) <= MAX_FRAME_BYTES for datagram in deframer.feed(piece))
    except ValueError:
        return
    assert len(deframer._rest) <= MAX_FRAME_BYTES + 1


def test_empty_frames_are_passed_over_and_long_ones_refused() -> None:
    assert Deframer().feed(b"\0\0\0\1x\0\0") == [b"x"]
    with pytest.raises(ValueError, match="too long"):
        Deframer().feed((MAX_FRAME_BYTES + 1).to_bytes(2, "big"))
    with pytest.raises(ValueError, match="too long"):
        frame(bytes(MAX_FRAME_BYTES + 1))
