"""Transport-wide feedback: chunks of every kind, and their compact choice."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.transport_feedback import TransportFeedback, parse_body, write_body


def body_of(feedback):
    body, padding = write_body(feedback)
    assert len(body) % 4 == 0
    return body[: len(body) - padding]


@given(
    st.lists(st.tuples(st.sampled_from([None, 0, 4, 255, 256, -1, 32767, -32768]), st.integers(1, 40)), min_size=1).map(
        lambda runs: tuple(delta for delta, count in runs for _ in range(count))
    )
)
def test_runs_and_vectors_give_the_same_deltas_back(deltas):
    feedback = TransportFeedback(1, 2, 65500, -5, 7, deltas[:8192])
    assert parse_body(body_of(feedback)) == feedback


def test_uniform_arrivals_take_one_chunk():
    assert len(body_of(TransportFeedback(1, 2, 0, 0, 0, (4,) * 300))) == 16 + 2 + 300


def test_arrivals_are_in_nanoseconds_and_wrap_their_seq():
    feedback = TransportFeedback(1, 2, 65535, 10, 0, (4, None, -8))
    assert list(feedback.arrivals()) == [(65535, 641_000_000), (0, None), (1, 639_000_000)]


def test_chunks_of_every_kind_are_read():
    """Bit by bit as in the draft, section 3.1: a run of five losses, a one-bit vector, a two-bit vector."""
    body = bytes.fromhex("00000001 00000002 0005001a 00000304 0005 9fff e000 0102030405060708090a0b0c0d fff0")
    feedback = parse_body(body)
    assert feedback.reference_time == 3
    assert feedback.feedback_count == 4
    assert feedback.deltas[:6] == (None, None, None, None, None, None)
    assert feedback.deltas[6:19] == tuple(range(1, 14))
    assert feedback.deltas[19:] == (-16, None, None, None, None, None, None)
