"""Handshake messages: fragments in any order, hostile ones, and readers that raise only ValueError."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.machines.dtls import messages as dtls_messages
from sfu.machines.dtls.messages import Assembler, Message


def fragment(message: Message, start: int, end: int) -> bytes:
    head = message.encode()[:6]
    return head + start.to_bytes(3, "big") + (end - start).to_bytes(3, "big") + message.body[start:end]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8), st.integers(1, 30), st.integers())
def test_fragments_in_any_order_make_the_messages(bodies: list[bytes], size: int, seed: int) -> None:
    messages = [Message(11, seq, body) for seq, body in enumerate(bodies)]
    pieces = [
        fragment(message, at, min(at + size, len(message.body)))
        for message in messages
        for at in range(0, max(len(message.body), 1), size)
    ]
    pieces += pieces[::2]
    random.Random(seed).shuffle(pieces)
    assembler = Assembler()
    found = [message for piece in pieces for message in assembler.add_fragments(piece)]
    assert found == messages
    assert assembler.next_seq == len(bodies)


@given(st.binary(max_size=200))
def test_any_bytes_are_borne(data: bytes) -> None:
    readers = (
        Assembler().add_fragments,
        dtls_messages.read_server_hello,
        dtls_messages.read_certificate,
        dtls_messages.read_key_exchange,
    )
    for read in readers:
        for candidate in (data, b"\xfe\xfd" + bytes(32) + data, b"\x03" + data):
            try:
                read(candidate)
            except ValueError:
                continue


@pytest.mark.parametrize(
    "piece",
    [
        fragment(Message(1, 0, bytes(30_000)), 0, 10),
        fragment(Message(1, 0, bytes(10)), 0, 10)[:-1],
        b"\x01\x00\x00\x05\x00\x00\x00\x00\x04\x00\x00\x02ab",
    ],
    ids=["too long", "truncated", "past its end"],
)
def test_impossible_fragments_are_refused(piece: bytes) -> None:
    with pytest.raises(ValueError):
        Assembler().add_fragments(piece)


def test_contradicting_fragments_are_refused() -> None:
    assembler = Assembler()
    assembler.add_fragments(fragment(Message(1, 0, bytes(10)), 0, 5))
    with pytest.raises(ValueError, match="contradict"):
        assembler.add_fragments(fragment(Message(2, 0, bytes(10)), 5, 10))


def test_messages_far_ahead_are_not_kept() -> None:
    assembler = Assembler()
    for seq in range(1, 100):
        assert assembler.add_fragments(fragment(Message(1, seq, b"x"), 0, 1)) == []
    (first, *rest) = assembler.add_fragments(fragment(Message(1, 0, b"x"), 0, 1))
    assert (first.seq, [message.seq for message in rest]) == (0, list(range(1, 8)))
