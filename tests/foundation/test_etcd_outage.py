"""Operation without etcd: retries and log lines."""

import logging

import pytest

from foundation.etcd import EtcdRefused, EtcdUnavailable
from foundation.etcd_outage import EtcdOutage


def test_an_etcd_that_is_away_is_asked_again_soon_and_one_that_refuses_less_and_less() -> None:
    outage = EtcdOutage("not registered", logging.getLogger("t"), 0.5)
    assert [outage.failed(EtcdUnavailable("away")) for _ in range(3)] == [0.5, 0.5, 0.5]
    assert [outage.failed(EtcdRefused("no")) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    outage.end()
    assert outage.failed(EtcdRefused("no")) == 0.5


def test_changes_alone_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    outage = EtcdOutage("not registered", logging.getLogger("t"))
    for number in range(5):
        outage.failed(EtcdUnavailable(f"connection to {number} refused"))
    assert outage.reason == "connection to 4 refused"
    outage.end()
    outage.end()
    assert [one.getMessage() for one in caplog.records] == [
        "not registered: etcd: connection to 0 refused",
        "etcd is back",
    ]


def test_two_users_of_one_process_are_one_outage(caplog: pytest.LogCaptureFixture) -> None:
    first, second = (EtcdOutage(name, logging.getLogger("t")) for name in ("not registered", "settings are unchanged"))
    first.failed(EtcdUnavailable("refused"))
    second.failed(EtcdUnavailable("refused"))
    first.end()
    assert [one.getMessage() for one in caplog.records] == ["not registered: etcd: refused"]
    assert second.reason == "refused"
    second.end()
    assert [one.getMessage() for one in caplog.records][1:] == ["etcd is back"]


def test_another_reason_is_logged_after_ten_minutes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that breaks, and a server that is not there, are one outage for as long."""
    times = iter((1.0, 2.0, 590.0, 602.0, 2000.0))
    monkeypatch.setattr("foundation.etcd_outage.time.monotonic", lambda: next(times))
    outage = EtcdOutage("not registered", logging.getLogger("t"))
    for reason in ("broken", "refused", "refused", "refused", "refused"):
        outage.failed(EtcdUnavailable(reason))
    outage.end()
    assert caplog.messages == ["not registered: etcd: broken", "not registered: etcd: refused", "etcd is back"]
