"""The queue of a TCP connection: whole frames in order, late or excess media dropped, checks never starved."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.tcp_framing import MAX_FRAME_BYTES, Deframer
from sfu.machines.ice.tcp_queue import MAX_BYTES, STALE_NS, TcpDrop, TcpQueue

MEDIA, CHECK = b"\x80" + bytes(999), b"\x00\x01" + bytes(60)


def drained(queue: TcpQueue, now: int) -> list[bytes]:
    received = []
    deframer = Deframer()
    while data := queue.pending(now):
        received += deframer.feed(data)
        queue.sent(len(data))
    return received


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 3000)), max_size=40))
def test_what_is_not_dropped_comes_whole_and_in_order(steps: list[tuple[int, int]]) -> None:
    queue = TcpQueue()
    deframer = Deframer()
    received: list[bytes] = []
    now = 0
    for number, (wait, taken) in enumerate(steps):
        now += wait * 1_000_000
        queue.put(b"\x80" + number.to_bytes(2, "big") + bytes(number * 10), now)
        data = queue.pending(now)[:taken]
        received += deframer.feed(data)
        queue.sent(len(data))
    while data := queue.pending(now):
        received += deframer.feed(data)
        queue.sent(len(data))
    numbers = [int.from_bytes(datagram[1:3], "big") for datagram in received]
    assert all(len(datagram) == 3 + 10 * number for datagram, number in zip(received, numbers, strict=True))
    assert numbers == sorted(set(numbers))
    assert len(received) + queue.drops.get(TcpDrop.STALE, 0) == len(steps)


def test_a_full_queue_drops_a_run_of_media_and_lets_checks_pass() -> None:
    queue = TcpQueue()
    for _ in range(300):
        queue.put(MEDIA, 0)
    queue.put(CHECK, 0)
    kept = MAX_BYTES // 1002 + 1
    assert queue.drops == {TcpDrop.FULL: 300 - kept}
    queue.sent(1002 * 10)
    queue.put(MEDIA, 0)
    assert queue.drops[TcpDrop.FULL] == 301 - kept
    queue.sent(1002 * 60)
    queue.put(MEDIA, 0)
    assert queue.drops[TcpDrop.FULL] == 301 - kept
    assert drained(queue, 0).count(CHECK) == 1


def test_checks_are_bounded_too() -> None:
    queue = TcpQueue()
    for _ in range(2 * MAX_BYTES // len(CHECK) + 100):
        queue.put(CHECK, 0)
    assert queue.drops[TcpDrop.FULL] > 50


def test_late_media_are_dropped_but_for_what_has_begun() -> None:
    queue = TcpQueue()
    for _ in range(3):
        queue.put(MEDIA, 0)
    queue.pending(0)
    queue.sent(500)
    queue.put(CHECK, 0)
    late = queue.pending(STALE_NS + 1)
    assert len(late) == 502 + 2 + len(CHECK)
    assert queue.drops == {TcpDrop.STALE: 2}


def test_what_is_no_datagram_is_dropped() -> None:
    queue = TcpQueue()
    queue.put(b"\x80" + bytes(MAX_FRAME_BYTES), 0)
    assert (queue.is_empty, queue.drops) == (True, {TcpDrop.TOO_LONG: 1})
