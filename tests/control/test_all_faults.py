"""Every server fails in turn under concurrent writers: the short version of `python -m bench faults`."""

from bench.faults import scenario


async def test_no_event_is_lost_doubled_or_out_of_order() -> None:
    outcome = await scenario(600, 12, 1.5, kills=1, with_store=False)
    assert outcome.events >= 600
    assert (outcome.wrong, outcome.missing) == (0, 0)
    assert outcome.unpublished > 0
    # The call's packets come every 20 ms; the rest is for a busy machine.
    assert outcome.call.frames > 100 and outcome.call.of_sound < 5
