"""The kernel's timer in the event loop."""

import asyncio

from sfu.server.precise_timer import PreciseTimer


async def test_it_fires_once_and_anew_when_it_is_set_again() -> None:
    fired = asyncio.Event()
    timer = PreciseTimer(asyncio.get_running_loop(), fired.set)
    for delay in (0, 100_000, 3_000_000):
        timer.set(delay)
        await asyncio.wait_for(fired.wait(), 30)
        fired.clear()
    await asyncio.sleep(0.02)  # it would have fired again by now
    assert not fired.is_set()
    timer.close()


async def test_the_newest_setting_counts_and_a_closed_one_is_silent() -> None:
    fired = asyncio.Event()
    timer = PreciseTimer(asyncio.get_running_loop(), fired.set)
    timer.set(1_000_000)
    timer.set(3_600_000_000_000)
    await asyncio.sleep(0.05)  # longer than the millisecond that it was set to
    assert not fired.is_set()
    timer.set(1_000_000)
    timer.close()
    await asyncio.sleep(0.05)  # longer than the millisecond that it was set to
    assert not fired.is_set()
    timer.close()
