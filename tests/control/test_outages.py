"""Outages are logged at their beginning and at their end."""

from foundation.outages import Outages


def test_two_lines_for_an_outage_and_another_reason_every_ten_minutes() -> None:
    outages = Outages("events wait for kafka")
    assert outages.note(None, 0) is None
    assert outages.note(TimeoutError(), 1) == "events wait for kafka: no answer in time"
    assert [outages.note(TimeoutError(), at) for at in range(2, 60)] == [None] * 58
    assert outages.note("nobody listens", 600) is None
    assert outages.note("nobody listens", 602) == "events wait for kafka: nobody listens"
    assert outages.note("nobody listens", 2000) is None
    assert outages.note(None, 2001) == "events wait for kafka: recovered after 2000 s"
    assert outages.note(None, 2002) is None
    assert outages.note("nobody listens", 2003) == "events wait for kafka: nobody listens"
