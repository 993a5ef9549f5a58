"""Frames between the inference process and its workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import messages


@given(st.lists(st.binary(max_size=50), max_size=10), st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_frames_survive_any_cutting(contents: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(messages.frame(content) for content in contents)
    reader = messages.FrameReader()
    found: list[bytes] = []
    position = turn = 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        found += reader.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert found == contents


def test_an_oversized_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="announced"):
        list(messages.FrameReader().feed(b"\xff\xff\xff\xff"))


def test_messages_come_back() -> None:
    message = messages.Speech(
        handle=1, begin=2, start_ms=3, end_ms=4, samples=5, voiced_ms=6, pcm=b"\0\1", paused=True, final=True
    )
    (content,) = messages.FrameReader().feed(messages.encode(message))
    assert messages.decode(content) == message


@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        messages.decode(data)
    except ValueError:
        return
