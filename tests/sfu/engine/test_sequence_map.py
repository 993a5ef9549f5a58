"""Renumbering, checked against a model that remembers every packet."""

import random

from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.sequence_map import HORIZON, MAX_GAP, MAX_SEGMENTS, Rewrite, SequenceMap

Steps = st.lists(
    st.tuples(st.sampled_from(["place", "skip", "skip gap", "gap", "switch", "stop", "change"]), st.integers(1, 5)),
    max_size=200,
)


@given(Steps)
def test_agrees_with_a_model(steps: list[tuple[str, int]]) -> None:
    numbering: SequenceMap[str] = SequenceMap(70)
    model: dict[int, tuple[str, int]] = {}
    stream, ext_seq, next_out = "a", 1000, 70
    numbering.start(stream, ext_seq, Rewrite())
    for step, count in steps:
        if step == "gap":
            ext_seq += count
        elif step == "stop":
            numbering.stop()
            ext_seq = numbering.next_ext
            numbering.start(stream, ext_seq, Rewrite())
        elif step == "switch":
            stream, ext_seq = ("b" if stream == "a" else "a"), ext_seq + count
            numbering.start(stream, ext_seq, Rewrite())
        elif step == "change":
            numbering.change(Rewrite(picture_offset=count))
        elif step == "place":
            missing = ext_seq - numbering.next_ext
            segment, out_seq = numbering.place(ext_seq)
            assert out_seq == next_out + missing == segment.first_out + ext_seq - segment.first_ext
            model |= {next_out + k: (stream, ext_seq - missing + k) for k in range(missing + 1)}
            next_out = out_seq + 1
            ext_seq += 1
        else:
            missing = ext_seq - numbering.next_ext
            numbering.skip(ext_seq, whole_gap=step == "skip gap")
            if step == "skip":
                model |= {next_out + k: (stream, ext_seq - missing + k) for k in range(missing)}
                next_out += missing
            ext_seq += 1
        assert numbering.next_out == next_out
    for out_seq, (of_stream, at) in model.items():
        segment = numbering.find_out(out_seq)
        assert segment is not None
        assert (segment.stream, segment.first_ext + out_seq - segment.first_out) == (of_stream, at)
    assert numbering.find_out(next_out) is None
    assert numbering.find_out(69) is None
    places = set(model.values())
    for of_stream in ("a", "b"):
        for at in range(1000, ext_seq + 1):
            assert (numbering.find(of_stream, at) is not None) == ((of_stream, at) in places)


def test_memory_is_bounded() -> None:
    numbering: SequenceMap[str] = SequenceMap(0)
    numbering.start("a", 0, Rewrite())
    for ext_seq in range(0, 20_000, 2):
        numbering.place(ext_seq)
        numbering.skip(ext_seq + 1)
    known = sum(numbering.find_out(out_seq) is not None for out_seq in range(numbering.next_out))
    assert known <= min(HORIZON, MAX_SEGMENTS) + 2


def test_a_hole_too_long_is_a_restart() -> None:
    numbering: SequenceMap[str] = SequenceMap(5)
    numbering.start("a", 100, Rewrite())
    assert numbering.place(100)[1] == 5
    assert numbering.place(101 + MAX_GAP)[1] == 6 + MAX_GAP
    assert numbering.place(103 + 2 * MAX_GAP)[1] == 8 + MAX_GAP


def test_renumbering() -> None:
    numbering: SequenceMap[str] = SequenceMap(5)
    numbering.start("a", 100, Rewrite())
    for ext_seq in range(100, 100 + random.Random(1).randrange(5, 9)):
        numbering.place(ext_seq)
    numbering.renumber(900)
    assert numbering.find_out(5) is None
    assert numbering.place(numbering.next_ext)[1] == 900


def test_numbers_that_were_not_sent_are_given_again() -> None:
    numbering: SequenceMap[str] = SequenceMap(5)
    numbering.start("a", 100, Rewrite())
    for ext_seq in range(100, 104):
        numbering.place(ext_seq)
    numbering.change(Rewrite(picture_offset=1))
    for ext_seq in range(104, 108):
        numbering.place(ext_seq)
    numbering.stop()
    numbering.rewind(6)
    assert numbering.next_out == 8
    assert numbering.find_out(7) is None
    assert numbering.find("a", 101) is numbering.find_out(6) is not None
    assert numbering.find("a", 102) is None
    numbering.start("b", 900, Rewrite())
    assert numbering.place(900)[1] == 8
    assert numbering.carried("a") == 102
