"""An outage of the object store in the log: many requests for different keys fail for one reason."""

import pytest

from objects.store import NoAnswer
from recorder import store_outage


def test_an_outage_is_one_line_at_each_end(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("recorder.store_outage.time.monotonic", lambda: now)
    for number in range(100):
        now = 5.0 * number
        store_outage.note(NoAnswer(f"recording/{number}.webm", "the store does not answer: connection refused"))
    store_outage.note(None)
    store_outage.note(None)
    what = "the object store does not accept recordings; they wait on this disk"
    assert caplog.messages == [
        f"{what}: the store does not answer: connection refused",
        f"{what}: recovered after 495 s",
    ]
