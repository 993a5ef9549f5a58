"""Background tasks: a failed one restarts, its failures are counted, and it can be cancelled."""

import asyncio
import itertools

import pytest
from prometheus_client import REGISTRY

from foundation.background import keep_running
from foundation.backoff import Backoff
from foundation.failures import describe


def failures(task: str) -> float:
    return REGISTRY.get_sample_value("parley_background_failures_total", {"task": task}) or 0.0


async def test_a_task_that_fails_begins_again_until_it_returns(caplog: pytest.LogCaptureFixture) -> None:
    runs = itertools.count()

    async def work() -> None:
        if next(runs) < 2:
            raise UnicodeError("label empty or too long")

    before = failures("frail")
    await asyncio.wait_for(keep_running("frail", work), 30)
    assert next(runs) == 3
    assert failures("frail") - before == 2
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


async def test_a_group_of_tasks_begins_again_as_one() -> None:
    runs = itertools.count()

    async def broken() -> None:
        if next(runs) == 0:
            raise KeyError("node")

    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(broken())

    await asyncio.wait_for(keep_running("group", work), 30)
    assert next(runs) == 2


async def test_cancelling_ends_the_work() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(keep_running("quiet", work))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() and cancelled.is_set()


def test_pauses_grow_up_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(longest=3)
    assert [backoff.pause() for _ in range(6)] == [0, 0.5, 1, 2, 3, 3]
    backoff.reset()
    assert backoff.pause() == 0
    later = Backoff(longest=30, first=1)
    assert [later.pause() for _ in range(6)] == [1, 2, 4, 8, 16, 30]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "ConnectionResetError"),
        (OSError("  "), "OSError"),
        (ValueError("too long"), "too long"),
    ],
)
def test_what_failed_is_never_told_without_a_word(error: Exception, text: str) -> None:
    assert describe(error) == text
