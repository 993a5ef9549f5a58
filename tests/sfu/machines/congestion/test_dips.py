"""Short dips of a link are ignored."""

from sfu.machines.congestion.dips import Dips

MS = 1_000_000
CARRIED = 2_100_000.0


def test_a_link_that_carries_all_is_believed() -> None:
    assert Dips().sit_out(3e6, CARRIED, 0, 0) == 3e6


def test_a_shallow_dip_is_sat_out_for_a_while() -> None:
    dips = Dips()
    granted = [dips.sit_out(1.8e6, CARRIED, 50 * MS, at * MS) for at in (0, 1000, 2400, 2500, 3000)]
    assert granted == [CARRIED, CARRIED, CARRIED, 1.8e6, 1.8e6]


def test_each_dip_has_its_own_while() -> None:
    dips = Dips()
    dips.sit_out(1.8e6, CARRIED, 0, 0)
    dips.sit_out(2.2e6, CARRIED, 0, 1000 * MS)
    assert dips.sit_out(1.8e6, CARRIED, 0, 2000 * MS) == CARRIED


def test_a_deep_dip_is_none() -> None:
    assert Dips().sit_out(1.2e6, CARRIED, 0, 0) == 1.2e6


def test_a_long_queue_ends_it() -> None:
    dips = Dips()
    assert dips.sit_out(1.8e6, CARRIED, 100 * MS, 0) == CARRIED
    assert dips.sit_out(1.8e6, CARRIED, 200 * MS, 200 * MS) == 1.8e6


def test_the_last_picture_goes_on_as_long_as_the_queue_is_short() -> None:
    dips = Dips()
    granted = [dips.sit_out(1.8e6, CARRIED, 50 * MS, at * MS, is_last=True) for at in (0, 1500, 60_000)]
    assert granted == [CARRIED] * 3


def test_the_last_picture_stays_until_it_is_clear_whose_queue_it_is() -> None:
    dips = Dips()
    granted = [dips.sit_out(0.1e6, CARRIED, 300 * MS, at * MS, loss=0.01, is_last=True) for at in (0, 1900, 2000)]
    assert granted == [CARRIED, CARRIED, 0.1e6]


def test_where_much_is_lost_only_the_last_picture_stays_for_a_while() -> None:
    assert Dips().sit_out(1.8e6, CARRIED, 20 * MS, 0, loss=0.1) == 1.8e6
    dips = Dips()
    granted = [dips.sit_out(1.8e6, CARRIED, 20 * MS, at * MS, loss=0.1, is_last=True) for at in (0, 1900, 2000)]
    assert granted == [CARRIED, CARRIED, 1.8e6]
    dips = Dips()
    granted = [dips.sit_out(1.8e6, CARRIED, 40 * MS, at * MS, loss=0.1, is_last=True) for at in (0, 400, 500)]
    assert granted == [CARRIED, CARRIED, 1.8e6]
