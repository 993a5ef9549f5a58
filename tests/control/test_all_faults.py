"""Every server goes away in turn under concurrent writers: the short version of `python -m bench faults`."""

from bench.faults import scenario


async def test_no_event_is_lost_doubled_or_out_of_order() -> None:
    outcome = await scenario(600, 12, 1.5)
    assert outcome.events >= 600
    assert (outcome.wrong, outcome.missing) == (0, 0)
