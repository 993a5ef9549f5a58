"""A batch is read fact by fact: an unreadable fact does not affect the others."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.api.facts import FactBatch, RoomOpened, SkippedFact, decode_batch, encode_batch

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "room", "at", "x"]), inner),
    max_leaves=8,
)


def test_what_was_encoded_is_read() -> None:
    batch = FactBatch(node="n", boot="b", n=3, facts=[RoomOpened(room="r", at=1, epoch=2)])
    read = decode_batch(encode_batch(batch))
    assert (read.node, read.boot, read.n, read.facts, read.skipped) == ("n", "b", 3, batch.facts, [])


@pytest.mark.parametrize(
    ("fact", "kind", "known"),
    [
        ({"kind": "of_later", "room": "r", "at": 1}, "of_later", False),
        ({"kind": "room_opened", "room": "r"}, "room_opened", True),
        ({"kind": 5}, "", False),
        ("x", "", False),
    ],
)
def test_what_cannot_be_read_is_told(fact: Any, kind: str, known: bool) -> None:
    good = {"kind": "room_opened", "room": "r", "at": 1}
    read = decode_batch(msgspec.json.encode({"node": "n", "boot": "b", "n": 1, "facts": [fact, good]}))
    assert read.facts == [RoomOpened(room="r", at=1)]
    (skipped,) = read.skipped
    assert (skipped.kind, skipped.known) == (kind, known)
    assert skipped.problem


@given(st.lists(anything, max_size=5))
def test_every_fact_is_read_or_skipped(facts: list[Any]) -> None:
    read = decode_batch(msgspec.json.encode({"node": "n", "boot": "b", "n": 1, "facts": facts}))
    assert len(read.facts) + len(read.skipped) == len(facts)
    assert all(isinstance(one, SkippedFact) for one in read.skipped)


@given(st.binary(max_size=100))
def test_anything_else_is_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_batch(data)
