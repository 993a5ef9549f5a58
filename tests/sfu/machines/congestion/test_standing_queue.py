"""Delays that stay high."""

from sfu.machines.congestion.standing_queue import StandingQueue

MS = 1_000_000


def standing(*steps: tuple[int, int]) -> list[int]:
    """Feed (delay ms, for how many ms) in steps of 50 ms; return at which ms a queue was standing."""
    queue = StandingQueue()
    found, now = [], 0
    for delay, duration in steps:
        for _ in range(duration // 50):
            if queue.update(-5000 * MS + delay * MS, now * MS):
                found.append(now)
            now += 50
    return found


def test_low_delays_are_no_queue() -> None:
    assert standing((20, 5000), (120, 5000)) == []


def test_a_delay_that_stays_high_is_one() -> None:
    found = standing((20, 1000), (250, 1000))
    assert found[0] == 1300
    assert found[-1] == 1950


def test_a_spike_is_none() -> None:
    assert standing((20, 1000), (250, 250), (20, 1000), (250, 250), (20, 1000)) == []


def test_a_delay_that_stays_high_whatever_is_done_is_believed() -> None:
    found = standing((20, 1000), (250, 20_000))
    assert found[-1] < 5100


def test_a_queue_that_others_fill_is_no_baseline() -> None:
    queue = StandingQueue()
    for at in range(0, 20_000, 100):
        queue.update((20 if at < 1000 else 250) * MS, at * MS, is_shared=True)
    assert queue.queueing == 230 * MS


def test_a_baseline_is_forgotten_after_a_minute() -> None:
    assert standing((0, 1000), (100, 70_000), (200, 3000)) == []


def test_it_says_how_long_the_queue_is() -> None:
    queue = StandingQueue()
    queue.update(70 * MS, 0)
    queue.update(110 * MS, 50 * MS)
    assert queue.queueing == 40 * MS


def busy_after(delays: list[int]) -> bool:
    """Return True if the link is found busy after delays (ms) that come every 100 ms."""
    queue = StandingQueue()
    for place, delay in enumerate(delays):
        queue.update(delay * MS, place * 100 * MS)
    return queue.is_busy


def test_a_queue_that_does_not_empty_says_that_the_link_is_busy() -> None:
    assert busy_after([20] + [70] * 6)
    assert not busy_after([20] + [70] * 5)
    assert not busy_after([20] + [50] * 10)


def test_one_packet_that_did_not_wait_says_that_it_is_not() -> None:
    assert not busy_after([20] + [70] * 6 + [20] + [70] * 4)


def test_a_longer_way_is_taken_for_a_queue_for_ten_seconds_at_most() -> None:
    assert busy_after([20] + [70] * 100)
    assert not busy_after([20] + [70] * 200)
