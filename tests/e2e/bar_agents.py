"""A worker of livekit-agents, heard in a browser: it is dispatched, hears a participant, and answers by voice.

    PARLEY_AGENTS_PYTHON=venv/bin/python pytest tests/e2e/bar_agents.py

The interpreter needs livekit-agents, which the project does not depend on. Without it the test is skipped.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Deployment
from tests.e2e.test_livekit_pages import join, package
from tests.support import livekit_page
from tests.support.livekit_client import KEY, SECRET

PYTHON = os.environ.get("PARLEY_AGENTS_PYTHON", "")
AUDIBLE = 0.02
"""A level that only the agent's voice reaches."""

__all__ = ["package"]


@contextlib.asynccontextmanager
async def talking_agent(deployment: Deployment) -> AsyncIterator[None]:
    address = deployment.network.server_address
    credentials = {
        "LIVEKIT_URL": f"ws://{address}:{deployment.server.http_port}",
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }
    program = Path(__file__).with_name("talking_agent.py")
    command = (*deployment.network.server_prefix, PYTHON, str(program), "start")
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | credentials)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(not PYTHON, reason="PARLEY_AGENTS_PYTHON names no interpreter with livekit-agents")
@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_an_agent_answers_in_a_browser(deployment: Deployment, browser: str) -> None:
    host = deployment.network.hosts[1]
    async with (
        talking_agent(deployment),
        livekit_page.site(host.name) as site,
        livekit_page.tabs(browser, host, site, ("ann",)) as tabs,
    ):
        ann = tabs["ann"]
        await ann.run(join(deployment, 1, "ann", f"talk in {browser}"))
        await ann.until("other()?.isAgent && of('Microphone')?.track", 120)
        assert await ann.run("loudness(2000)") < AUDIBLE
        await ann.run("me().setMicrophoneEnabled(true)")
        await asyncio.sleep(2)
        await ann.run("me().setMicrophoneEnabled(false)")  # Firefox's microphone is a tone without an end
        begun = time.monotonic()
        await ann.until(f"await loudness(500) > {AUDIBLE}", 60)
        print(f"{browser}: heard {time.monotonic() - begun:.1f} s after the microphone was closed")
