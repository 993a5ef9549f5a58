"""Data messages: a round trip, and only ValueError for other bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.data_message import DataMessage, parse, serialize

texts = st.text(max_size=60)


@given(st.binary(max_size=300), texts, st.lists(texts, max_size=8))
def test_there_and_back(payload: bytes, topic: str, names: list[str]) -> None:
    message = DataMessage(payload, topic, tuple(names))
    assert parse(serialize(message)) == message


@given(st.binary(max_size=100))
def test_other_bytes(data: bytes) -> None:
    for candidate in (data, b"\x01" + data):
        try:
            message = parse(candidate)
        except ValueError:
            continue
        assert serialize(message) == candidate


def test_the_bytes_are_those_of_the_description() -> None:
    assert serialize(DataMessage(b"!", "é", ("ann", ""))) == b"\x01\x02\xc3\xa9\x02\x03ann\x00!"


@pytest.mark.parametrize("message", [DataMessage(b"", "t" * 256), DataMessage(b"", "", ("n",) * 256)])
def test_what_is_too_long_is_refused(message: DataMessage) -> None:
    with pytest.raises(ValueError, match="too"):
        serialize(message)
