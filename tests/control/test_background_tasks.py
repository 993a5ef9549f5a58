"""A failing background task: control logs it, counts it, restarts it, and keeps serving."""

import asyncio

import aiohttp
import pytest
from prometheus_client import REGISTRY

from control import reconcile, retention
from control.config import ControlConfig
from control.events import webhooks
from control.meetings import breakouts
from control.placement import failover
from control.recurring import for_each
from tests.control.harness import People, serving
from tests.support.waiting import eventually

BROKEN = {
    "failover": (failover, "rescue"),
    "breakout rooms": (breakouts, "close_due"),
    "abandoned recordings": (reconcile, "stop_abandoned"),
    "webhooks": (webhooks.Deliveries, "_begin"),
}


def failures(task: str) -> float:
    return REGISTRY.get_sample_value("parley_background_failures_total", {"task": task}) or 0.0


async def test_control_serves_on_whatever_breaks_behind_it(
    config: ControlConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise KeyError("node")

    for module, name in BROKEN.values():
        monkeypatch.setattr(module, name, breaks)
    before = {task: failures(task) for task in BROKEN}
    async with serving(config) as server, aiohttp.ClientSession() as session:
        await eventually(lambda: all(failures(task) >= before[task] + 2 for task in BROKEN))
        await (await People(session, server).user("ada")).ok("POST", "/api/v1/meetings", {})


async def test_a_thing_that_fails_leaves_the_others_to_be_done() -> None:
    done = []

    async def act(number: int) -> None:
        if number == 2:
            raise KeyError(number)
        done.append(number)

    before = failures("a test")
    await for_each("a test", [1, 2, 3], act)
    assert done == [1, 3] and failures("a test") == before + 1

    async def away(number: int) -> None:
        done.append(number)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await for_each("a test", [4, 5], away)
    assert done == [1, 3, 4]


async def test_tidying_goes_on_behind_a_step_that_fails(config: ControlConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(_: object) -> None:
        raise KeyError("column")

    applied = asyncio.Event()

    async def apply(_: object) -> None:
        applied.set()

    monkeypatch.setattr(reconcile, "_FORGETFUL", (breaks, *reconcile._FORGETFUL))
    monkeypatch.setattr(retention, "apply", apply)
    async with serving(config):
        await asyncio.wait_for(applied.wait(), 30)
