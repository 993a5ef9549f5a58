"""The whole topology at once: a browser's call through the gateway, every part watched, an alert fired and resolved."""

import asyncio
import json
import os
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from parley.client import Api
from sfu.api.signaling import Consent
from tests.support.call import PASSWORD, call
from tests.support.chromium import LOOPBACK_FLAG, chromium, inbound, open_page
from tests.support.stack import Stack, running_stack

# Every family that a call with a recording must move; a node secret or an address that is wrong leaves one at zero.
MOVED = (
    "parley_sfu_rooms",
    "parley_sfu_participants",
    "parley_sfu_tracks",
    "parley_sfu_datagrams_in_total",
    "parley_sfu_datagrams_out_total",
    "parley_sfu_bytes_in_total",
    "parley_sfu_bytes_out_total",
    "parley_sfu_forwarded_total",
    'parley_sfu_round_trip_seconds{quantile="1"}',
    "parley_recorder_attached",
    "parley_recorder_streams",
    "parley_recorder_frames_total",
    'control_http_requests_total{status="200"}',
    "control_facts_total",
    "control_events_published_total",
    "parley_event_loop_lag_seconds_count",
    "job:control_http_requests:rate5m",
)


@pytest.fixture(scope="module")
def stack() -> Any:
    with running_stack() as running:
        yield running


async def until(condition: Callable[[], Any], what: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.2)


def asked(stack: Stack, query: str) -> list[Any]:
    """What Prometheus answers."""
    url = f"{stack.monitoring.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


async def test_a_browsers_call_through_everything(stack: Stack) -> None:
    async with Api(stack.url, verify_tls=False) as api:
        await api.set_up(stack.gateway.server.setup_token, "admin", PASSWORD)
        meeting = await api.create_meeting("The whole stack")
        async with (
            call(api, meeting, verify_tls=False) as (speaker, _),
            chromium(flags=[LOOPBACK_FLAG]) as browser,
        ):
            await speaker.send(Consent(text="1", recording=True))
            await api.start_recording(meeting)
            page = await open_page(browser, f"{stack.url}/m/{meeting}")
            await page.get_by_label("Your name").fill("Browser")
            await page.locator("#join:not([disabled])").click()
            await page.locator(".tile").first.wait_for()
            deadline = time.monotonic() + 20
            while not [r for r in await inbound(page) if r["kind"] == "video" and r["framesDecoded"] > 20]:
                assert time.monotonic() < deadline, await inbound(page)
                await asyncio.sleep(0.2)
            for query in MOVED:
                await until(lambda query=query: asked(stack, f"sum({query}) > 0"), f"{query} stays at zero")
            await api.stop_recording(meeting)
        (recording, *_) = (await api.recordings(meeting))["recordings"]
        assert recording["state"] in {"recording", "sealing", "finishing", "ready"}
    assert "node" in json.loads(next(line for line in stack.gateway.events().splitlines() if "/ws/signaling" in line))


async def test_an_alert_fires_and_resolves(stack: Stack) -> None:
    """A recorder that hangs is reported down; once it runs again that is reported, too."""

    def sent(status: str) -> Callable[[], bool]:
        return lambda: any(
            alert["status"] == status and alert["labels"]["alertname"] == "PartDown" for alert in stack.alerts
        )

    recorder = stack.gateway.server.part_pid("recorder")
    os.kill(recorder, signal.SIGSTOP)
    try:
        await until(sent("firing"), "no alert fired")
    finally:
        os.kill(recorder, signal.SIGCONT)
    await until(sent("resolved"), "the alert did not resolve")
