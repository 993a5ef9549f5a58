"""Redundant audio."""

from sfu.machines.repair.audio_redundancy import AudioRedundancy

SECOND = 1_000_000_000


def test_a_clear_link_gets_no_copies() -> None:
    assert not AudioRedundancy().update(0.005, 0.02, 0)


def test_a_lossy_link_gets_copies_and_keeps_them_though_they_hide_the_loss() -> None:
    redundancy = AudioRedundancy()
    assert redundancy.update(0.1, 0.02, 0)
    for second in range(1, 60):
        assert redundancy.update(0.01, 0.02, second * SECOND)


def test_copies_stop_when_nothing_has_been_lost_for_a_while() -> None:
    redundancy = AudioRedundancy()
    redundancy.update(0.1, 0.02, 0)
    assert redundancy.update(0.0, 0.02, 10 * SECOND)
    assert not redundancy.update(0.0, 0.02, 16 * SECOND)


def test_a_link_that_loses_for_want_of_room_gets_none() -> None:
    redundancy = AudioRedundancy()
    assert not redundancy.update(0.1, 0.3, 0)
    assert redundancy.update(0.1, 0.1, SECOND)
    assert not redundancy.update(0.1, 0.4, 2 * SECOND)


def test_where_much_is_lost_each_packet_is_sent_three_times() -> None:
    redundancy = AudioRedundancy()
    redundancy.update(0.1, 0.05, 0)
    assert redundancy.has_third
    redundancy.update(0.03, 0.05, 1)
    assert redundancy.is_on
    assert not redundancy.has_third
    redundancy.update(0.1, 0.08, 2)
    assert redundancy.is_on
    assert not redundancy.has_third


def test_a_link_that_loses_because_it_is_full_gets_no_third_copies() -> None:
    redundancy = AudioRedundancy()
    redundancy.update(0.3, 0.02, 0, is_full=True)
    assert not redundancy.has_third
