"""Outages are logged at their beginning and at their end."""

from foundation.outages import Outages


def test_two_lines_for_an_outage_and_another_reason_once_a_minute() -> None:
    outages = Outages("events wait for kafka")
    assert outages.note(None, 0) is None
    assert outages.note(TimeoutError(), 1) == "events wait for kafka: no answer in time"
    assert [outages.note(TimeoutError(), at) for at in range(2, 60)] == [None] * 58
    assert outages.note("nobody listens", 60) is None
    assert outages.note("nobody listens", 62) == "events wait for kafka: nobody listens"
    assert outages.note("nobody listens", 200) is None
    assert outages.note(None, 201) == "events wait for kafka: recovered after 200 s"
    assert outages.note(None, 202) is None
    assert outages.note("nobody listens", 203) == "events wait for kafka: nobody listens"
