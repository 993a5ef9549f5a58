"""Transport-wide feedback: the messages contain exactly the arrivals, whatever was lost or late."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtcp
from sfu.formats.transport_feedback import TICK_NS
from sfu.machines.repair.twcc_receiver import TwccReceiver

MS = 1_000_000
EPOCH = 64 * MS << 24  # reference times wrap here


def reported(messages):
    """Return {seq: arrival} and the set of seqs reported lost, after a trip over the wire."""
    arrived, lost = {}, set()
    for message in messages:
        data = rtcp.serialize([message])
        assert len(data) <= 1200
        assert rtcp.parse(data) == [message]
        for seq, arrival in message.arrivals():
            if arrival is None:
                lost.add(seq)
            else:
                arrived[seq] = arrival
    return arrived, lost


def test_nothing_is_sent_before_the_interval_is_over():
    receiver = TwccReceiver(1)
    assert receiver.timer() is None
    receiver.received(7, 100 * MS, 5)
    assert receiver.timer() == 150 * MS
    assert receiver.due(149 * MS) == []
    [message] = receiver.due(150 * MS)
    assert (message.sender_ssrc, message.media_ssrc, message.base_seq, message.feedback_count) == (1, 5, 7, 0)
    assert receiver.timer() is None
    assert receiver.due(500 * MS) == []


def test_losses_lie_between_what_arrived():
    receiver = TwccReceiver(1)
    for seq in (65533, 65535, 2):
        receiver.received(seq, 10 * MS, 5)
    assert reported(receiver.due(100 * MS)) == ({65533: 10 * MS, 65535: 10 * MS, 2: 10 * MS}, {65534, 0, 1})


def test_losses_between_two_messages_are_reported_by_the_second():
    receiver = TwccReceiver(1)
    receiver.received(10, 0, 5)
    receiver.due(50 * MS)
    receiver.received(13, 60 * MS, 5)
    [message] = receiver.due(110 * MS)
    assert (message.base_seq, message.deltas[:2], message.feedback_count) == (11, (None, None), 1)


def test_a_late_packet_is_reported_again():
    receiver = TwccReceiver(1)
    receiver.received(10, 0, 5)
    receiver.received(12, 0, 5)
    receiver.due(50 * MS)
    receiver.received(11, 52 * MS, 5)
    receiver.received(13, 51 * MS, 5)
    arrived, lost = reported(receiver.due(110 * MS))
    assert set(arrived) == {11, 13}
    assert lost == {12}
    receiver.received(14, 120 * MS, 5)
    [message] = receiver.due(200 * MS)
    assert message.base_seq == 14


def test_many_arrivals_are_reported_early():
    receiver = TwccReceiver(1)
    for seq in range(200):
        receiver.received(seq, 1 * MS, 5)
    assert len(receiver.due(2 * MS)) == 1


def test_a_long_silence_starts_another_message():
    receiver = TwccReceiver(1, interval=60_000 * MS)
    receiver.received(0, 0, 5)
    receiver.received(1, 20_000 * MS, 5)
    messages = receiver.due(100_000 * MS)
    assert len(messages) == 2
    assert reported(messages) == ({0: 0, 1: 20_000 * MS}, set())


def test_a_wide_jump_is_not_reported_as_loss():
    receiver = TwccReceiver(1)
    receiver.received(0, 0, 5)
    receiver.received(30_000, MS, 5)
    assert reported(receiver.due(50 * MS)) == ({0: 0, 30_000: MS}, set())


def test_a_flood_is_bounded():
    receiver = TwccReceiver(1)
    for seq in range(20_000):
        receiver.received(seq & 0xFFFF, 0, 5)
    assert sum(len(message.deltas) for message in receiver.due(MS)) == 4000


@given(
    st.integers(0, 65535),
    st.lists(st.tuples(st.integers(1, 30), st.integers(-2 * MS, 40 * MS)), min_size=1, max_size=150),
    st.integers(0, 10**15),
)
def test_every_arrival_is_reported_once_to_the_tick(first, steps, start):
    receiver = TwccReceiver(1)
    seq, now = first, start + 100 * MS
    expected = {}
    messages = []
    for step, wait in steps:
        expected[seq & 0xFFFF] = now // TICK_NS * TICK_NS % EPOCH
        receiver.received(seq & 0xFFFF, now, 5)
        messages += receiver.due(now)
        seq += step
        now += wait
    messages += receiver.due(now + 1000 * MS)
    arrived, lost = reported(messages)
    assert {seq: arrival % EPOCH for seq, arrival in arrived.items()} == expected
    assert not lost & set(arrived)
    assert [message.feedback_count for message in messages] == [index & 0xFF for index in range(len(messages))]


def test_of_what_we_dropped_ourselves_nothing_is_said():
    receiver = TwccReceiver(1)
    for seq, ours in ((65_530, False), (65_531, False), (4, True), (6, False), (20, True), (21, True)):
        receiver.received(seq, 10 * MS, 5, ours=ours)
    messages = receiver.due(100 * MS)
    assert [(message.base_seq, len(message.deltas)) for message in messages] == [(65_530, 2), (4, 3), (20, 2)]
    arrived, lost = reported(messages)
    assert (set(arrived), lost) == ({65_530, 65_531, 4, 6, 20, 21}, {5})
    receiver.received(40, 200 * MS, 5, ours=True)
    receiver.received(42, 200 * MS, 5)
    arrived, lost = reported(receiver.due(300 * MS))
    assert (set(arrived), lost) == ({40, 42}, {41})
