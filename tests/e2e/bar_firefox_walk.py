"""A host's walk in Firefox: pages of the grid, host controls, people, effects, notes, a server that is gone.

`PARLEY_PICTURES=folder` saves a picture of each step. No script may fail, and no policy may be broken.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley_client import Api
from parley_client.attendance import Attendance
from tests.support.bidi import SMALL_CAMERA, Firefox, firefox
from tests.support.call import PASSWORD, become_admin
from tests.support.namespaces import network
from tests.support.server import running_server

pytestmark = pytest.mark.asyncio
GUESTS = 12
PICTURES = os.environ.get("PARLEY_PICTURES")
_COMPLAINTS = """() => {
  window.complaints = [];
  addEventListener('error', (event) => event.message && complaints.push(event.message));
  addEventListener('unhandledrejection', ({reason}) => complaints.push(`rejection: ${reason}`));
  document.addEventListener('securitypolicyviolation', ({violatedDirective: broken, blockedURI}) => {
    complaints.push(`policy: ${broken} ${blockedURI}`);
  });
}"""
_FIND = """
const shown = (one) => one.checkVisibility() && !one.closest('[inert]');
const named = (one) => one.getAttribute('aria-label') ?? one.textContent.trim();
const buttons = () => [...document.querySelectorAll('button, [role=menuitem], a')].filter(shown);
const button = (name) => buttons().findLast((one) => named(one) === name);
"""


class Walker:
    """Someone who uses what the page shows, by its names."""

    def __init__(self, browser: Firefox) -> None:
        self.browser = browser
        self.steps = 0

    async def press(self, name: str) -> None:
        await self.sees(f"button({json.dumps(name)})", f"press {name}")
        await self.browser.evaluate(f"(() => {{ {_FIND} button({json.dumps(name)}).click(); return true; }})()")
        await self._note(name)

    async def fill(self, selector: str, text: str) -> None:
        await self.browser.until(f"document.querySelector({json.dumps(selector)}) !== null")
        await self.browser.evaluate(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.value = {json.dumps(text)};"
            " field.dispatchEvent(new Event('input', {bubbles: true})); return true; })()"
        )
        await self._note(selector)

    async def click(self, selector: str) -> None:
        await self.sees(f"document.querySelector({json.dumps(selector)})", selector)
        await self.browser.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    async def sees(self, expression: str, what: str = "", *, seconds: float = 30) -> None:
        """Wait until an expression is true in the page."""
        try:
            await self.browser.until(f"(() => {{ {_FIND} return Boolean({expression}); }})()", seconds)
        except TimeoutError:
            await self._note("failed")
            raise AssertionError(f"not seen: {what or expression}") from None

    async def reads(self, text: str, *, seconds: float = 30) -> None:
        await self.sees(f"document.body.innerText.includes({json.dumps(text)})", text, seconds=seconds)
        await self._note(text)

    async def _note(self, step: str) -> None:
        self.steps += 1
        if PICTURES:
            letters = "".join(letter if letter.isalnum() else "-" for letter in step)[:40]
            await self.browser.screenshot(Path(PICTURES) / f"firefox-{self.steps:02}-{letters}.png")


@contextlib.asynccontextmanager
async def guests(url: str, meeting: str, count: int) -> AsyncIterator[None]:
    """People who attend without media."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(count):
            api = await stack.enter_async_context(Api(url, verify_tls=False))
            await stack.enter_async_context(Attendance(api, meeting, f"Guest {number + 1}", verify_tls=False))
        yield


async def test_a_host_walks_through_firefox() -> None:
    with network(1) as net, running_server(net.server_prefix, inference="false") as server:
        url = f"https://{net.server_address}:{server.https_port}"
        async with Api(url, verify_tls=False) as admin:
            await become_admin(admin, server.setup_token)
            meeting = await admin.create_meeting("All hands")
        async with guests(url, meeting, GUESTS), firefox(prefix=net.hosts[0].prefix) as browser:
            await browser.add_preload(SMALL_CAMERA)
            await browser.add_preload(_COMPLAINTS)
            await browser.resize(1280, 800)
            walker = Walker(browser)
            address = f"https://{net.hosts[0].server_address}:{server.https_port}"
            await browser.navigate(address)
            await _sign_in(walker)
            await browser.navigate(f"{address}/m/{meeting}")
            await walker.press("Join")
            await walker.sees("document.querySelectorAll('.tile').length > 9", "many tiles")
            await _pages(walker)
            await _host(walker)
            await _people(walker)
            await _effects(walker)
            await _papers(walker)
            assert await browser.evaluate("complaints") == []
            await _worker(walker, address)
            server.process.terminate()
            await asyncio.to_thread(server.process.wait, 30)
            await _without_a_server(walker)
            print(f"\n{walker.steps} steps")


async def _sign_in(walker: Walker) -> None:
    await walker.fill("input[name=username]", "admin")
    await walker.fill("input[name=password]", PASSWORD)
    await walker.press("Sign in")
    await walker.reads("Meet now")


async def _pages(walker: Walker) -> None:
    await walker.press("View")
    await walker.click('input[name=per-page][value="9"]')
    await walker.press("Done")
    await walker.reads("1 / 2")
    await walker.press("Next page")
    await walker.reads("2 / 2")
    await walker.sees("document.querySelectorAll('.grid .tile:not(.tile-self)').length === 4", "the second page")
    await walker.press("Previous page")
    await walker.reads("1 / 2")


async def _host(walker: Walker) -> None:
    await walker.press(f"Participants ({GUESTS + 1})")
    await walker.press("Host controls")
    for name in ("locked", "may_share", "may_rename", "may_unmute"):
        selector = f"dialog input[name={name}]"
        checked = f"document.querySelector('{selector}')?.checked"
        before = await walker.browser.evaluate(f"{checked} === true")
        await walker.click(selector)
        await walker.sees(f"{checked} === {json.dumps(not before)}", name)
        await walker.click(selector)
    await walker.press("Close")
    await walker.press("More for Guest 1")
    await walker.press("Rename Guest 1")
    await walker.fill("dialog input", "Grace Hopper")
    await walker.press("Save")
    await walker.sees("button('More for Grace Hopper')", "the new name")
    await walker.press("More for Grace Hopper")
    await walker.press("Remove Grace Hopper")
    await walker.press("Remove")
    await walker.press("Let back in Grace Hopper")


async def _people(walker: Walker) -> None:
    await walker.fill(".breakouts input[name=breakouts]", "3")
    await walker.press("Create rooms")
    await walker.press("Open rooms")
    await walker.press("Close now")
    await walker.sees("button('Create rooms')", "the rooms closed")
    await walker.press("Close")


async def _effects(walker: Walker) -> None:
    await walker.press("Settings")
    await walker.press("Background and effects")
    await walker.click("dialog input[value=blur]")
    # Either the effect is drawn, or it turned itself off and said so: the machine may be slow.
    await walker.sees(
        "!document.body.innerText.includes('Preparing') && document.querySelector('dialog video')?.videoWidth > 0",
        "an effect",
        seconds=60,
    )
    await walker._note("effect")
    await walker.click('dialog input[value=""]')
    await walker.press("Done")
    await walker.press("Done")


async def _papers(walker: Walker) -> None:
    await walker.press("Notes")
    await walker.fill(".notes-text", "Agenda")
    await walker.press("Whiteboard")
    await walker.sees("document.querySelector('.board-canvas')", "the whiteboard")
    await walker.press("Polls and questions")
    await walker.press("Chat")
    await walker.fill("textarea, .chat input", "Hello")
    await walker.press("Shortcuts")
    await walker.press("Close")


async def _worker(walker: Walker, address: str) -> None:
    await walker.browser.navigate(f"{address}/recordings")
    await walker.sees("navigator.serviceWorker?.controller", "the worker", seconds=30)


async def _without_a_server(walker: Walker) -> None:
    await walker.browser.evaluate("(setTimeout(() => location.reload(), 50), true)")
    await asyncio.sleep(1)
    await walker.reads("The server does not respond", seconds=60)
