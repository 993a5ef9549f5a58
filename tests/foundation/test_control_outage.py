"""An outage of control in the log of another part, whose kinds of requests fail and recover one after another."""

import pytest

from foundation import control_outage
from foundation.outages import Outages


def test_all_kinds_of_requests_are_one_outage(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_outage, "_failing", {})  # other tests leave outages
    monkeypatch.setattr(control_outage, "_outage", Outages("control does not answer; what it has to know waits"))
    control_outage.note("facts", "HTTP status 503")
    control_outage.note("keys", OSError("refused"))
    control_outage.note("facts", "HTTP status 503")
    assert caplog.messages == ["control does not answer; what it has to know waits: HTTP status 503"]
    control_outage.note("facts", None)
    assert len(caplog.messages) == 1
    control_outage.note("keys", None)
    control_outage.note("keys", None)
    assert caplog.messages[1:] == ["control does not answer; what it has to know waits: recovered after 0 s"]
