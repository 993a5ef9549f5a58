"""One task in the background that fails: control logs it, counts it, begins it again, and serves on."""

import asyncio

import aiohttp
import pytest
from prometheus_client import REGISTRY

from control import breakouts, failover, reconcile, session_news, webhooks
from control.config import ControlConfig
from tests.control.harness import People, serving

BROKEN = {
    "failover": (failover, "rescue"),
    "reconciling": (breakouts, "end_closed"),
    "tidying": (reconcile, "_tidy"),
    "session news": (session_news, "_listen"),
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
        async with asyncio.timeout(30):
            while any(failures(task) < before[task] + 2 for task in BROKEN):
                await asyncio.sleep(0.02)
        await (await People(session, server).user("ada")).ok("POST", "/api/v1/meetings", {})
