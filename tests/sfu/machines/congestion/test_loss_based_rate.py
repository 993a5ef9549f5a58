"""Losses of a lossy link, as opposed to those of a full one."""

import random

import pytest

from sfu.machines.congestion.loss_based_rate import LossBasedRate
from sfu.machines.congestion.loss_windows import LossWindow, LossWindows
from sfu.machines.congestion.send_history import PacketResult, SentKind

MS = 1_000_000
SECOND = 1000 * MS
DELAY_BASED = 3_000_000.0


def drive(
    losses: LossBasedRate, seconds: int, *, loss: float = 0.0, capacity: float | None = None, seed: int = 1
) -> None:
    """Send at the machine's own rate; random loss, and what exceeds `capacity` is lost too."""
    dice = random.Random(seed)
    now = sent = 0
    windows = LossWindows()
    while now < seconds * SECOND:
        results = []
        rate = losses.rate or DELAY_BASED
        for _ in range(max(1, int(rate * 0.05 / 9600))):
            sent += int(9600 / rate * SECOND)
            over = capacity is not None and rate > capacity and dice.random() < (rate - capacity) / rate
            lost = over or dice.random() < loss
            results.append(PacketResult(sent, None if lost else sent, 1200, SentKind.VIDEO))
        now = sent
        losses.update(windows.add(results), min(rate, capacity or rate) * (1 - loss), DELAY_BASED, now)


def test_nothing_is_limited_before_anything_is_known() -> None:
    assert LossBasedRate(30_000).rate is None


def test_without_losses_the_delay_based_rate_holds() -> None:
    losses = LossBasedRate(30_000)
    drive(losses, 10)
    assert losses.rate == DELAY_BASED
    assert not losses.limits


def test_losses_of_a_full_link_are_over_once_nothing_was_sent_for_a_while() -> None:
    losses = LossBasedRate(30_000)
    drive(losses, 3, loss=0.4)
    assert losses.limits
    losses.drained()
    assert not losses.limits
    assert losses.loss == 0


@pytest.mark.parametrize("seed", range(5))
def test_five_percent_of_random_loss_cost_little(seed: int) -> None:
    losses = LossBasedRate(30_000)
    drive(losses, 20, loss=0.05, seed=seed)
    assert losses.rate is not None
    assert losses.rate > 0.6 * DELAY_BASED


@pytest.mark.parametrize("seed", range(5))
def test_ten_percent_leave_enough_for_a_call(seed: int) -> None:
    losses = LossBasedRate(30_000)
    drive(losses, 20, loss=0.10, seed=seed)
    assert losses.rate is not None
    assert 800_000 < losses.rate < 2_500_000


@pytest.mark.parametrize("seed", range(5))
def test_a_full_link_without_a_queue_is_found(seed: int) -> None:
    losses = LossBasedRate(30_000)
    drive(losses, 20, capacity=1_000_000, seed=seed)
    assert losses.rate is not None
    assert 500_000 < losses.rate < 1_400_000


def test_it_recovers_when_losses_end() -> None:
    losses = LossBasedRate(30_000)
    drive(losses, 10, capacity=500_000)
    drive(losses, 60)
    assert losses.rate is not None
    assert losses.rate > 0.8 * DELAY_BASED


def test_a_loss_that_was_only_late_is_taken_back() -> None:
    losses = LossBasedRate(30_000)
    windows = LossWindows()
    sent = [number * 10 * MS for number in range(30)]
    losses.update(windows.add([PacketResult(at, None, 1200, 1) for at in sent[:20]]), None, DELAY_BASED, 200 * MS)
    late = [PacketResult(at, at, 1200, 1, was_lost=True) for at in sent[:20]]
    came = [*late, *(PacketResult(at, at, 1200, 1) for at in sent[20:])]
    losses.update(windows.add(came), None, DELAY_BASED, 300 * MS)
    assert losses.loss == 0.0


def test_a_probe_that_went_through_raises_it() -> None:
    losses = LossBasedRate(30_000)
    drive(losses, 10, capacity=500_000)
    losses.set(2_000_000)
    assert losses.rate == 2_000_000


def started_too_fast() -> tuple[LossBasedRate, int]:
    """Two windows of a start at four times the link's rate, of which most was lost."""
    losses = LossBasedRate(30_000)
    losses.update(LossWindow(80, 55, 2_000_000), 480_000, 1_500_000, 0)
    losses.update(LossWindow(76, 50, 1_700_000), 480_000, 1_500_000, 300 * MS)
    return losses, 300 * MS


@pytest.mark.parametrize("lost", [0, 3])
def test_the_losses_of_a_start_that_was_too_fast_are_explained(lost: int) -> None:
    losses, now = started_too_fast()
    assert losses.rate is not None
    for _ in range(4):
        now += 300 * MS
        losses.update(LossWindow(15, lost, 55_000), 100_000, 450_000, now)
    assert losses.loss > 0.3
    assert losses.rate > 380_000


def test_beyond_what_a_full_link_carries_the_rate_grows_slowly_at_first() -> None:
    losses, now = started_too_fast()
    rates = []
    for _ in range(60):
        now += 250 * MS
        losses.update(LossWindow(15, 0, 300_000), 300_000, DELAY_BASED, now)
        rates.append(losses.rate or 0.0)
    after_2, after_8, after_14 = rates[7], rates[31], rates[55]
    assert 1.05 < after_8 / after_2 < 1.2
    assert after_14 / after_8 > 1.25
