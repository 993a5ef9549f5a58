"""What a recorder that comes back gets again."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.api.sink_records import PacketRecord, SenderReportRecord
from sfu.rooms.replay_buffer import ReplayBuffer


def packet(seq: int, arrival: int, size: int = 10) -> PacketRecord:
    return PacketRecord(1, seq, arrival, bytes(size))


def test_only_what_is_not_durable_and_all_reports() -> None:
    buffer = ReplayBuffer()
    report = SenderReportRecord(1, 2, 3, 4, 15)
    for record in (packet(1, 10), report, packet(2, 20), packet(3, 30)):
        buffer.put(record)
    buffer.durable = 2
    assert list(buffer.replay()) == [report, packet(3, 30)]
    assert not buffer.complete
    buffer.durable = 3
    assert buffer.complete


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3000)), max_size=60))
def test_it_is_bounded_in_time_and_bytes(steps: list[tuple[int, int]]) -> None:
    buffer = ReplayBuffer(kept_ns=100, max_bytes=5000)
    now = 0
    for seq, (wait, size) in enumerate(steps):
        now += wait
        buffer.put(packet(seq, now, size))
    kept = [record for record in buffer.replay() if isinstance(record, PacketRecord)]
    assert sum(len(record.rtp) for record in kept) <= 5000
    assert all(now - record.arrival <= 100 for record in kept)
    if steps:
        assert kept[-1].ext_seq == len(steps) - 1
