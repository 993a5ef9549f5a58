"""Replay to a recorder that returns: everything that is not durable, after any absence, within a budget."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.api.sink_records import MissedRecord, PacketRecord, SenderReportRecord
from sfu.peers.sinks.replay_buffer import RECORD_BYTES, ReplayBudget, ReplayBuffer

HOUR = 3_600_000_000_000


def packet(seq: int, arrival: int, size: int = 10, handle: int = 1) -> PacketRecord:
    return PacketRecord(handle, seq, arrival, bytes(size))


def report(arrival: int) -> SenderReportRecord:
    return SenderReportRecord(1, 2, 3, 4, arrival)


def test_what_is_not_durable_stays_however_old_it_is() -> None:
    buffer = ReplayBuffer()
    records = [packet(1, 10), report(15), packet(2, 20), report(25), packet(3, HOUR)]
    for record in records:
        buffer.put(record)
    assert list(buffer.replay()) == records
    buffer.reached(2)
    assert list(buffer.replay()) == records[3:]
    assert not buffer.complete
    buffer.reached(3)
    assert buffer.complete
    assert list(buffer.replay()) == []
    assert buffer.bytes == 0


def test_a_packet_that_came_late_is_not_repeated_once_it_is_durable() -> None:
    buffer = ReplayBuffer()
    for record in (packet(1, 10), packet(4, 20), packet(2, 30), packet(3, 40), packet(5, 50)):
        buffer.put(record)
    buffer.reached(3)
    assert [record.ext_seq for record in buffer.replay() if isinstance(record, PacketRecord)] == [4, 5]


def test_what_there_was_no_room_for_is_owned_up_to() -> None:
    budget = ReplayBudget(max_bytes=4 * (RECORD_BYTES + 10))
    buffer = ReplayBuffer(budget)
    for seq in range(10, 20):
        buffer.put(packet(seq, seq))
    first, *rest = buffer.replay()
    assert first == MissedRecord(1, 10, 6)
    assert rest == [packet(seq, seq) for seq in range(16, 20)]
    assert budget.given_up == 6
    buffer.reached(15)  # it had been on its way to the disk: nothing is missing
    assert list(buffer.replay()) == rest


def test_the_fullest_stream_pays_and_a_closed_one_gives_its_memory_back() -> None:
    budget = ReplayBudget(max_bytes=200_000)
    camera, microphone = ReplayBuffer(budget), ReplayBuffer(budget)
    for seq in range(200):
        camera.put(packet(seq, seq, 1200))
        microphone.put(packet(seq, seq, 60, handle=2))
    assert len(list(microphone.replay())) == 200
    assert any(isinstance(record, MissedRecord) for record in camera.replay())
    camera.close()
    assert budget.bytes == microphone.bytes


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 2), st.integers(0, 3000)),
            st.tuples(st.just("reached"), st.integers(0, 2), st.integers(0, 60)),
        ),
        max_size=80,
    )
)
def test_nothing_disappears_without_a_word(steps: list[tuple[str, int, int]]) -> None:
    """Every packet is durable, kept, or told to be missed; the budget holds and is accounted for."""
    budget = ReplayBudget(max_bytes=6000)
    buffers = [ReplayBuffer(budget) for _ in range(3)]
    put = [0, 0, 0]
    for step, which, number in steps:
        if step == "put":
            buffers[which].put(packet(put[which], 0, number, handle=which))
            put[which] += 1
        else:
            buffers[which].reached(number)
        assert budget.bytes == sum(buffer.bytes for buffer in buffers) <= 6000
    for which, buffer in enumerate(buffers):
        known = set(range(buffer.durable + 1))
        for record in buffer.replay():
            if isinstance(record, MissedRecord):
                known |= set(range(record.first_ext_seq, record.first_ext_seq + record.packets))
            elif isinstance(record, PacketRecord):
                known.add(record.ext_seq)
        assert known >= set(range(put[which]))
