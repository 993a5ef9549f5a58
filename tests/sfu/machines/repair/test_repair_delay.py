"""The delay that lets a publisher's retransmissions come in time."""

from sfu.machines.repair.repair_delay import RepairDelay

MS = 1_000_000
SECOND = 1000 * MS
START = 500 * SECOND


def lossy(*, at: int = START) -> RepairDelay:
    delay = RepairDelay()
    for place in range(3):
        delay.repaired(at + place)
    return delay


def settled(delay: RepairDelay, round_trip: int, *, at: int = START, queue: int = 0) -> int:
    """Return the delay once it does not move any longer, from `at` on."""
    now = at
    while True:
        found = delay.update(round_trip, now, queue=queue)
        step = delay.timer()
        if step is None:
            return found
        now = step


def test_it_is_a_round_trip_and_a_picture_once_three_packets_were_repaired() -> None:
    delay = RepairDelay()
    delay.repaired(START)
    delay.repaired(START)
    assert settled(delay, 200 * MS) == 0
    delay.repaired(START)
    assert settled(delay, 200 * MS) == 250 * MS


def test_it_moves_by_a_tenth_of_the_time() -> None:
    delay = lossy()
    assert delay.update(200 * MS, START) == 20 * MS
    assert delay.timer() == START + 200 * MS
    assert delay.update(200 * MS, START + 199 * MS) == 20 * MS
    assert delay.update(200 * MS, START + 200 * MS) == 40 * MS
    assert delay.update(200 * MS, START + 70 * SECOND) == 20 * MS
    assert delay.update(200 * MS, START + 71 * SECOND) == 0
    assert delay.timer() is None


def test_it_ends_a_minute_after_the_losses() -> None:
    delay = lossy()
    assert settled(delay, 200 * MS) == 250 * MS
    assert settled(delay, 200 * MS, at=START + 59 * SECOND) == 250 * MS
    assert settled(delay, 200 * MS, at=START + 61 * SECOND) == 0


def test_near_publishers_need_none_and_for_far_too_distant_ones_it_would_be_too_long() -> None:
    assert settled(lossy(), 49 * MS) == 0
    assert settled(lossy(), 701 * MS) == 0


def test_it_falls_only_if_it_is_far_too_long() -> None:
    delay = lossy()
    assert settled(delay, 200 * MS) == 250 * MS
    assert settled(delay, 210 * MS, at=START + 10 * SECOND) == 260 * MS
    assert settled(delay, 120 * MS, at=START + 20 * SECOND) == 260 * MS
    assert settled(delay, 100 * MS, at=START + 30 * SECOND) == 150 * MS


def test_a_round_trip_about_a_limit_does_not_begin_and_end_it_all_the_time() -> None:
    near, distant = lossy(), lossy()
    assert settled(near, 51 * MS) == settled(near, 30 * MS, at=START + 10 * SECOND) == 101 * MS
    assert settled(near, 24 * MS, at=START + 20 * SECOND) == 0
    assert settled(distant, 699 * MS) == 749 * MS
    assert settled(distant, 720 * MS, at=START + 10 * SECOND) == 770 * MS
    assert settled(distant, 801 * MS, at=START + 20 * SECOND) == 0


def test_a_queue_that_others_fill_counts_before_anything_is_lost() -> None:
    delay = RepairDelay()
    assert settled(delay, 100 * MS) == 0
    assert settled(delay, 100 * MS, queue=250 * MS) == 350 * MS
    assert settled(delay, 100 * MS, at=START + 10 * SECOND) == 0
