"""Detection of whether the application or the network limits the sent rate."""

from sfu.machines.congestion.application_limit import ApplicationLimit

MS = 1_000_000


def after(share: float) -> bool:
    """Send for two seconds at a share of an estimate of 1 Mbps."""
    limit = ApplicationLimit()
    for number in range(200):
        limit.sent(int(1250 * share), 1_000_000, number * 10 * MS)
    return limit.is_limited


def test_sending_little_is_limited() -> None:
    assert after(0.2)


def test_sending_what_the_estimate_allows_is_not() -> None:
    assert not after(0.95)


def test_it_ends_when_more_is_sent() -> None:
    limit = ApplicationLimit()
    for number in range(200):
        limit.sent(100, 1_000_000, number * 10 * MS)
    assert limit.is_limited
    for number in range(200, 300):
        limit.sent(1250, 1_000_000, number * 10 * MS)
    assert not limit.is_limited
