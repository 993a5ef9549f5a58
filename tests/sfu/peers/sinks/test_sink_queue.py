"""The queue to a sink: bounded, with every drop counted."""

from sfu.api import sink_records
from sfu.api.sink_records import MissedRecord, PacketRecord, TrackClosed
from sfu.peers.sinks.sink_queue import RECORD_BYTES, RESERVED_BYTES, SinkQueue


def drain(queue: SinkQueue) -> list[object]:
    records: list[object] = []
    while (data := queue.peek()) is not None:
        records.append(sink_records.decode(data))
        queue.pop()
    return records


def test_what_fits_comes_out_in_order() -> None:
    queue = SinkQueue()
    assert queue.put_packet(PacketRecord(1, 10, 5, b"rtp"))
    queue.put(TrackClosed(handle=1, reason="left"))
    assert drain(queue) == [PacketRecord(1, 10, 5, b"rtp"), TrackClosed(handle=1, reason="left")]
    assert queue.bytes == 0


def test_what_does_not_fit_is_owned_up_to() -> None:
    queue = SinkQueue(max_bytes=2 * (RECORD_BYTES + 1))
    assert [queue.put_packet(PacketRecord(1, seq, 0, b"x")) for seq in range(5)] == [True, True, False, False, False]
    assert queue.dropped == 3
    assert len(drain(queue)) == 2
    assert queue.put_packet(PacketRecord(1, 5, 0, b"x"))
    assert drain(queue) == [MissedRecord(1, 2, 3), PacketRecord(1, 5, 0, b"x")]


def test_a_handle_that_closes_owns_up_too() -> None:
    queue = SinkQueue(max_bytes=10)
    assert not queue.put_packet(PacketRecord(7, 100, 0, bytes(20)))
    queue.close_handle(7)
    assert drain(queue) == [MissedRecord(7, 100, 1)]


def test_control_records_have_a_reserve_and_an_end() -> None:
    queue = SinkQueue(max_bytes=0)
    assert not queue.put_packet(PacketRecord(1, 0, 0, b""))
    while not queue.overrun:
        queue.put(TrackClosed(handle=1, reason="left"))
    size = queue.bytes // len(queue)
    assert RESERVED_BYTES - size < queue.bytes <= RESERVED_BYTES
