"""The loss of the link itself."""

from sfu.machines.congestion.inherent_loss import InherentLoss
from sfu.machines.congestion.loss_windows import LossWindow

MS = 1_000_000


def fed(shares: list[float], *, is_drained: bool = True) -> InherentLoss:
    """Return it after windows of 250 ms with these losses."""
    inherent = InherentLoss()
    for place, share in enumerate(shares):
        inherent.update(LossWindow(100, int(share * 100), 1e6), share, place * 250 * MS, is_drained=is_drained)
    return inherent


def test_it_is_soon_known_and_certain_after_two_seconds() -> None:
    assert (fed([0.2]).newest, fed([0.2]).lasting) == (0.2, 0.0)
    assert fed([0.2] * 7).lasting == 0.0
    assert fed([0.1, 0.3] * 4).lasting == 0.2


def test_the_losses_of_a_burst_do_not_last() -> None:
    assert fed([0.0] * 10 + [0.9] * 3).lasting == 0.0


def test_losses_while_packets_wait_are_not_the_links_own() -> None:
    inherent = fed([0.5] * 20, is_drained=False)
    assert (inherent.newest, inherent.lasting) == (0.0, 0.0)


def test_a_short_queue_keeps_what_is_known() -> None:
    inherent = fed([0.2] * 10)
    for later, newest in ((900, 0.2), (1000, 0.0)):
        inherent.update(None, 0.6, (2250 + later) * MS, is_drained=False)
        assert (inherent.newest, inherent.lasting) == (newest, 0.2)


def test_a_link_that_loses_everything_has_no_capacity_to_be_guessed() -> None:
    assert fed([1.0] * 10).lasting == 0.5
