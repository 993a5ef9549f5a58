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


def test_it_is_a_round_trip_and_a_picture_once_three_packets_were_repaired() -> None:
    delay = RepairDelay()
    delay.repaired(START)
    delay.repaired(START)
    assert delay.update(200 * MS, 0, START) == 0
    delay.repaired(START)
    assert delay.update(200 * MS, 0, START) == 250 * MS


def test_it_ends_a_minute_after_the_losses() -> None:
    delay = lossy()
    assert delay.update(200 * MS, 0, START + 59 * SECOND) == 250 * MS
    assert delay.update(200 * MS, 0, START + 61 * SECOND) == 0


def test_near_publishers_need_none_and_for_far_too_distant_ones_it_would_be_too_long() -> None:
    assert lossy().update(49 * MS, 0, START) == 0
    assert lossy().update(501 * MS, 0, START) == 0


def test_it_rises_at_once_and_falls_only_if_it_is_far_too_long() -> None:
    delay = lossy()
    assert delay.update(200 * MS, 0, START) == 250 * MS
    assert delay.update(210 * MS, 0, START) == 260 * MS
    assert delay.update(120 * MS, 0, START) == 260 * MS
    assert delay.update(100 * MS, 0, START) == 150 * MS


def test_a_queue_that_others_fill_counts_before_anything_is_lost() -> None:
    delay = RepairDelay()
    assert delay.update(100 * MS, 0, START) == 0
    assert delay.update(100 * MS, 250 * MS, START) == 350 * MS
    assert delay.update(100 * MS, 0, START) == 0
