"""Beside a TCP download that keeps the link's queue full, both a picture and the download continue."""

import pytest

from tests.support.closed_loop import MS, SECOND
from tests.support.link_model import LinkSettings
from tests.support.shared_loop import LAYERS, SharedLoop
from tests.support.tcp_flow import SIZE, TcpFlow


@pytest.mark.parametrize(
    ("megabits", "queue", "model_based"), [(4, 300, False), (2, 300, False), (4, 100, False), (4, 300, True)]
)
def test_a_picture_and_a_download_share_a_link(megabits: int, queue: int, model_based: bool, seeds: range) -> None:
    """In four of five seeds (`--seeds 5`); all of fewer."""
    missed = 0
    for seed in seeds:
        settings = LinkSettings(
            rate=megabits * 1_000_000, delay=25 * MS, jitter=2 * MS, queue_bytes=megabits * queue * 1000 // 8
        )
        flow = TcpFlow(model_based=model_based)
        loop = SharedLoop(settings, seed, flows=[flow], tcp_at=3 * SECOND + seed * 100 * MS)
        loop.run(5)
        before, looks, arrived = flow.delivered, len(loop.granted), loop.arrived
        loop.run(20)
        share = (flow.delivered - before) * SIZE * 8 / 20 / (megabits * 1e6)
        ours = (loop.arrived - arrived) * 8 / 20
        granted = loop.granted[looks:]
        paused = sum(layer < 0 for layer in granted) / len(granted)
        print(f"seed {seed}: {ours / 1e6:.2f} Mbps, paused {paused:.0%}, TCP has {share:.0%}")
        least = sum(layer < 1 for layer in granted) / len(granted)
        missed += paused > 0.05 or ours < LAYERS[1] * 0.8 or share < 0.4 or (megabits >= 4 and least > 0.1)
    assert missed <= len(seeds) // 5


def test_a_link_of_ones_own_that_narrows_is_not_taken_for_a_shared_one() -> None:
    loop = SharedLoop(LinkSettings(rate=3_000_000, delay=25 * MS, jitter=2 * MS), 1)
    loop.run(6)
    loop.change(rate=600_000)
    noticed = False
    for _ in range(80):
        loop.run(0.1)
        noticed |= loop.estimator.is_shared
    assert not noticed
    assert loop.link.queueing_delay < 100 * MS
