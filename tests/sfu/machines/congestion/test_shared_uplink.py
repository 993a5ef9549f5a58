"""A publisher's uplink that others use, too."""

import math

from sfu.machines.congestion.shared_uplink import SharedUplink
from sfu.machines.congestion.uplink_delay import UplinkWindow

MS = 1_000_000
STEP = 50  # ms


class Publisher:
    """A publisher whose uplink has a queue that we set, and whose rate (kbit/s) we set, too."""

    def __init__(self) -> None:
        self.uplink = SharedUplink()
        self.now = 1000

    def send(self, rate: int, *, queue: int, seconds: float) -> bool:
        """Let windows pass; return whether the uplink is shared at the end."""
        for _ in range(int(seconds * 1000 / STEP)):
            self.now += STEP
            self.uplink.update(UplinkWindow(self.now * MS, queue * MS, rate * STEP // 8))
        return self.uplink.is_shared


def beside_others() -> Publisher:
    publisher = Publisher()
    assert not publisher.send(1000, queue=100, seconds=2)
    assert publisher.send(500, queue=100, seconds=2)
    return publisher


def test_a_queue_that_stands_though_less_is_sent_is_filled_by_others() -> None:
    publisher = beside_others()
    assert 450_000 < publisher.uplink.share < 550_000


def test_a_queue_that_drains_is_our_own() -> None:
    publisher = Publisher()
    publisher.send(1000, queue=300, seconds=2)
    for queue in range(300, 20, -10):
        assert not publisher.send(500, queue=queue, seconds=STEP / 1000)
    assert publisher.uplink.share == math.inf


def test_it_ends_a_while_after_the_queue_has_gone() -> None:
    publisher = beside_others()
    assert publisher.send(500, queue=0, seconds=2)
    assert not publisher.send(500, queue=0, seconds=2)
    assert publisher.uplink.share == math.inf


def test_the_share_grows_slowly_and_falls_with_losses() -> None:
    publisher = beside_others()
    begin = publisher.uplink.share
    publisher.send(700, queue=100, seconds=10)
    grown = publisher.uplink.share
    assert 1.2 * begin < grown < 1.6 * begin
    publisher.send(700, queue=100, seconds=60)
    assert 900_000 < publisher.uplink.share < 1_100_000  # as much as arrived before the others came
    publisher.send(300, queue=100, seconds=10)
    publisher.uplink.share = grown
    for _ in range(10):
        publisher.uplink.lost(publisher.now * MS)
        publisher.send(700, queue=100, seconds=1)
    assert publisher.uplink.share < 0.8 * grown


def test_others_are_looked_for_anew_after_a_while() -> None:
    publisher = beside_others()
    assert publisher.send(500, queue=100, seconds=590)
    assert not publisher.send(500, queue=100, seconds=20)
