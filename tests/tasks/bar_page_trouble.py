"""Bars: how soon the page says that the sfu is frozen, and is back after parts were killed; moves; what blur costs.

    .venv/bin/pytest -s -p no:rerunfailures tests/tasks/bar_page_trouble.py

Two browsers are in a call, and nobody clicks. They would have machines of their own, so the server goes first on this
one, which should have nothing else to do.
"""

import asyncio
import contextlib
import os
import re
import signal
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from parley.network import allocate_port
from parley_client import Api
from tests.support.call import PASSWORD, become_admin
from tests.support.chromium import LOOPBACK_FLAG, chromium, frames_decoded, open_page
from tests.support.cpu_time import cpu_seconds
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.asyncio
ROUNDS = 5
KILLS = 2
"""The kills of a part within a minute: before a further one is started again, the supervisor waits for a second."""
SEEN_SECONDS = 2.0
BACK_SECONDS = 5.0
MOVED_SECONDS = 1.0
PAUSE_SECONDS = 4.0
MOST_OF_A_CORE = 0.5
SETTLES_SECONDS, WATCHED_SECONDS = 15, 15
_AFTER_THE_SERVER = ("nice", "-n", "10")
_NOTE_BANNERS = """() => {
  window.noted = new Set();
  const look = () => {
    const text = document.querySelector('.banner-connection:not([hidden]) p');
    if (text) noted.add(text.textContent);
  };
  const whole = {subtree: true, childList: true, attributes: true, characterData: true};
  new MutationObserver(look).observe(document.body, whole);
}"""


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server() as server:
        yield server


@contextlib.asynccontextmanager
async def _two_pages(server: RunningServer) -> AsyncIterator[tuple[Page, Page]]:
    """Ada's and Grace's pages in a call, once each shows the other's camera."""
    async with Api(server.url) as api:
        await become_admin(api, server.setup_token)
        meeting = await api.create_meeting("Monday")
    async with (
        chromium(_AFTER_THE_SERVER, [LOOPBACK_FLAG], whole=True) as one,
        chromium(_AFTER_THE_SERVER, [LOOPBACK_FLAG], whole=True) as two,
    ):
        pages = [await open_page(browser, f"{server.url}/m/{meeting}") for browser in (one, two)]
        for page, name in zip(pages, ("Ada", "Grace"), strict=True):
            await page.get_by_label("Your name").fill(name)
            await page.locator("#join").click()
        for page in pages:
            await _moves(page)
        yield pages[0], pages[1]


async def _moves(page: Page, seconds: float = 60) -> None:
    """Wait until video arrives that was not there before."""
    async with asyncio.timeout(seconds):
        before = await frames_decoded(page)
        while True:
            await asyncio.sleep(0.05)
            now = await frames_decoded(page)
            if now > before:
                return
            before = min(before, now)


async def test_a_frozen_sfu_is_seen(server: RunningServer) -> None:
    async with _two_pages(server) as (ada, grace):
        seen, gone = [], []
        for _ in range(ROUNDS):
            await asyncio.sleep(5)
            banner = ada.get_by_text("The server is not responding")
            with server.stopped("sfu"):
                began = time.monotonic()
                await expect(banner).to_be_visible(timeout=10_000)
                seen.append(time.monotonic() - began)
                await asyncio.sleep(max(0.0, PAUSE_SECONDS - seen[-1]))
            began = time.monotonic()
            await expect(banner).to_be_hidden(timeout=20_000)
            await _moves(grace)
            gone.append(time.monotonic() - began)
    print(f"\nfrozen: seen after {_listed(seen)}, over {_listed(gone)} after it goes on")
    assert statistics.median(seen) <= SEEN_SECONDS


@pytest.mark.parametrize("parts", [("sfu",), ("control", "sfu")], ids="-".join)
async def test_parts_that_were_killed_are_back(server: RunningServer, parts: tuple[str, ...]) -> None:
    async with _two_pages(server) as (ada, grace):
        took = []
        for _ in range(KILLS):
            await asyncio.sleep(5)
            began = time.monotonic()
            for part in parts:
                os.kill(server.part_pid(part), signal.SIGKILL)
            await asyncio.gather(*(_is_back(page) for page in (ada, grace)))
            took.append(time.monotonic() - began)
    print(f"\n{' and '.join(parts)} killed: both see each other again after {_listed(took)}")
    assert max(took) <= BACK_SECONDS


async def test_a_whole_server_restarted_is_back(tmp_path: Path) -> None:
    """The time counts from the end of the old server."""
    port = str(allocate_port())
    settings = {"data_dir": str(tmp_path / "data"), "runtime_dir": str(tmp_path / "run"), "http_port": port}
    took = []
    async with contextlib.AsyncExitStack() as pages:
        with running_server(**settings) as server:
            ada, grace = await pages.enter_async_context(_two_pages(server))
            await asyncio.sleep(5)
        for _ in range(ROUNDS):
            began = time.monotonic()
            again = running_server(from_nothing=True, **settings)
            starting = asyncio.create_task(asyncio.to_thread(again.__enter__))
            await asyncio.gather(_moves(ada), _moves(grace))
            took.append(time.monotonic() - began)
            await starting
            await asyncio.sleep(5)
            await asyncio.to_thread(again.__exit__, None, None, None)
    print(f"\nall restarted: both see each other again after {_listed(took)}")
    assert statistics.median(took) <= BACK_SECONDS


async def _is_back(page: Page) -> None:
    """Wait until the page lost its media, and has some again."""
    async with asyncio.timeout(60):
        while True:
            before = await frames_decoded(page)
            await asyncio.sleep(0.2)
            if await frames_decoded(page) <= before:
                break
        await _moves(page)


async def test_a_meeting_moves_to_another_worker_unnoticed() -> None:
    """Its worker is drained, as before it is replaced: the page may say that the meeting moves, and nothing else."""
    with running_server(workers="2") as server:
        async with _two_pages(server) as (ada, grace), Api(server.url) as api:
            await api.login("admin", PASSWORD)
            [meeting] = (await api.request("GET", "/meetings"))["meetings"]
            room = f"/meetings/{meeting['id']}/room"
            node = (await api.request("GET", room))["node"]
            await asyncio.sleep(5)
            for page in (ada, grace):
                await page.evaluate(_NOTE_BANNERS)
            watching = asyncio.create_task(_longest_gap(grace, WATCHED_SECONDS))
            drained = await asyncio.to_thread(server.command, "nodes", "drain", "--grace", "0", node)
            drained.check_returncode()
            gap = await watching
            said = {text for page in (ada, grace) for text in await page.evaluate("[...noted]")}
            assert (await api.request("GET", room))["node"] != node
    print(f"\nmoved: longest time without a picture {gap:.2f} s; the pages say {sorted(said)}")
    assert said <= {"The meeting is moving to another server. It continues in a moment."}
    assert gap <= MOVED_SECONDS


async def _longest_gap(page: Page, seconds: float) -> float:
    """Return the longest time for which the page decoded nothing."""
    longest, frames, at = 0.0, await frames_decoded(page), time.monotonic()
    end = at + seconds
    while (now := time.monotonic()) < end:
        if (seen := await frames_decoded(page)) != frames:
            frames, at = seen, now
        longest = max(longest, now - at)
        await asyncio.sleep(0.02)
    return longest


async def test_blur_costs_half_a_core_or_is_off(server: RunningServer) -> None:
    async with Api(server.url) as api:
        await become_admin(api, server.setup_token)
        meeting = await api.create_meeting("Blurred")
    async with chromium(flags=[LOOPBACK_FLAG], whole=True) as browser:
        page = await open_page(browser, f"{server.url}/m/{meeting}")
        session = await browser.browser.new_browser_cdp_session()
        await page.get_by_role("button", name="Background and effects").click()
        await page.locator("label", has_text=re.compile("^Blur$")).click()
        await asyncio.sleep(SETTLES_SECONDS)
        processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        pids = [int(one["id"]) for one in processes if one["type"] == "renderer"]
        before, began = _worker_seconds(pids), time.monotonic()
        await asyncio.sleep(WATCHED_SECONDS)
        share = (_worker_seconds(pids) - before) / (time.monotonic() - began)
        said = (await page.locator(".effects-preview [role=status]").inner_text()).strip()
    print(f"\nblur of 720p: {share:.0%} of a core; the page says {said!r}")
    assert share <= MOST_OF_A_CORE


def _worker_seconds(pids: list[int]) -> float:
    """Return the CPU time of the workers of pages."""
    threads = (thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir())
    return sum(cpu_seconds(one) for one in threads if (one / "comm").read_text().startswith("DedicatedWorker"))


def _listed(seconds: list[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in seconds) + " s"
