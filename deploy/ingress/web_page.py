"""A stream that is a web page: a browser opens it in a tab, whose picture and sound another tab captures.

The tab is captured before it opens the page, while it has a secret title, by which the browser grants the capture. The
capturing tab is a page of ours at an address that only this module answers.
"""

import asyncio
import base64
import binascii
import contextlib
import functools
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from foundation.media_units import Unit, UnitKind
from ingress.checking_proxy import CheckingProxy
from ingress.devtools import Devtools, browser
from ingress.stream import Failed, Stream
from sfu.api.ingress import PageView, UrlOrder

FORM = "matroska"
"""The container of what `feed` passes on; FFmpeg reads WebM as well by this name."""
_ADDRESS = "https://capture.invalid/"
_BITS_PER_PIXEL = 0.08  # at 30 pictures a second: 2.2 Mbit/s at 720p
_RATE = 30
_LOAD_SECONDS = 30.0
_START_SECONDS = 3600.0
_IDLE_SECONDS = 15.0
_START, _END = "START_RECORDING", "END_RECORDING"
"""Words that a page logs to its console, as LiveKit's templates do."""


class _Tabs(NamedTuple):
    """The tabs, by their targets and sessions: the one that shows the page, and the one that captures it."""

    shown: str
    stage: str
    capture: str


class WebPage:
    """An open page that has started."""

    def __init__(self, devtools: Devtools, tabs: _Tabs, view: PageView) -> None:
        self._devtools = devtools
        self._tabs = tabs
        self._view = view
        self._is_loaded = False
        self._has_started = False
        self._has_ended = False
        self._pieces: list[bytes] = []

    async def feed(self, stream: Stream) -> None:
        """Pass on what is captured until the page logs its end. Raises Failed."""
        bits = round(self._view.width * self._view.height * _RATE * _BITS_PER_PIXEL)
        await _evaluate(self._devtools, self._tabs.capture, f"begin({bits})")
        while not self._has_ended:
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._take()
            except TimeoutError as error:
                raise Failed("The browser has stopped to capture the page.") from error
            for piece in self._pieces:
                stream.put(Unit(UnitKind.CONTENT, False, time.monotonic_ns() // 1000, piece))
            self._pieces.clear()

    async def open(self, url: str) -> None:
        """Open the page, and wait until it has loaded, and if it announces its start, until then. Raises Failed."""
        answer = await self._devtools.ask("Page.navigate", self._tabs.stage, url=url)
        if error := answer.get("errorText"):
            raise Failed(f"The page cannot be opened: {error}.")
        with contextlib.suppress(TimeoutError):  # a page that never has everything is shown as it is
            async with asyncio.timeout(_LOAD_SECONDS):
                while not (self._is_loaded or self._has_started or self._has_ended):
                    await self._take()
        try:
            async with asyncio.timeout(_START_SECONDS):
                while self._view.announces_start and not (self._has_started or self._has_ended):
                    await self._take()
        except TimeoutError as error:
            raise Failed(f"The page did not log {_START} within an hour.") from error

    async def _take(self) -> None:
        """Take the next event. Raises Failed."""
        session, name, about = await self._devtools.event()
        match name:
            case "Runtime.bindingCalled" if session == self._tabs.capture:
                self._take_piece(about["payload"])
            case "Runtime.consoleAPICalled" if session == self._tabs.stage:
                said = [one.get("value") for one in about["args"]]
                self._has_started |= _START in said
                self._has_ended |= _END in said
            case "Page.loadEventFired" if session == self._tabs.stage:
                self._is_loaded = True
            case "Page.javascriptDialogOpening":
                self._devtools.tell("Page.handleJavaScriptDialog", session, accept=True)
            case "Inspector.targetCrashed":
                raise Failed("The page crashed.")
            case "Target.targetCreated":
                self._take_target(about["targetInfo"])
            case "Target.targetDestroyed" if about["targetId"] == self._tabs.shown:
                raise Failed("The page closed itself.")

    def _take_piece(self, payload: str) -> None:
        if not payload:
            raise Failed("The browser has stopped to capture the page.")
        try:
            self._pieces.append(base64.b64decode(payload, validate=True))
        except binascii.Error as error:
            raise Failed("The browser captured something else than media.") from error

    def _take_target(self, target: dict[str, Any]) -> None:
        """Close windows that the page opens: nobody would see them."""
        if target["type"] == "page" and target.get("openerId") == self._tabs.shown:
            self._devtools.tell("Target.closeTarget", targetId=target["targetId"])


@contextlib.asynccontextmanager
async def opened(order: UrlOrder, program: str) -> AsyncIterator[WebPage]:
    """Open a page in a browser of its own, and wait for its start. Raises Failed, OSError."""
    view = order.page
    assert view is not None
    title = secrets.token_hex(16)
    proxy = CheckingProxy(private=order.private, own=view.own)
    async with proxy.running() as port:
        flags = [
            f"--proxy-server=http://127.0.0.1:{port}",
            "--proxy-bypass-list=<-loopback>",
            f"--auto-select-tab-capture-source-by-title={title}",
            f"--window-size={view.width},{view.height}",
            *(["--allow-loopback-in-peer-connection"] if order.private else []),
        ]
        async with browser(program, flags) as devtools:
            page = WebPage(devtools, await _prepared(devtools, view, title), view)
            try:
                await page.open(order.url)
            except Failed as failed:
                raise Failed(f"{failed} {proxy.error}".strip()) from failed
            yield page


async def _prepared(devtools: Devtools, view: PageView, title: str) -> _Tabs:
    """Return the tabs, of which one captures the other. Raises Failed."""
    await devtools.ask("Browser.setDownloadBehavior", behavior="deny")
    shown, stage = await _tab(devtools, f"<!doctype html><title>{title}</title>")
    await devtools.ask(
        "Emulation.setDeviceMetricsOverride",
        stage, width=view.width, height=view.height, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    _, capture = await _tab(devtools, f"<!doctype html><script>{_script()}</script>")
    await devtools.ask("Runtime.addBinding", capture, name="hand")
    await _evaluate(devtools, capture, f"acquire({view.width}, {view.height})")
    await devtools.ask("Runtime.enable", stage)
    await devtools.ask("Target.setDiscoverTargets", discover=True)
    return _Tabs(shown, stage, capture)


async def _tab(devtools: Devtools, document: str) -> tuple[str, str]:
    """Open a tab with a document of ours, at an address that is secure and leads nowhere; return target and session."""
    target = (await devtools.ask("Target.createTarget", url="about:blank"))["targetId"]
    session = (await devtools.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    await devtools.ask("Page.enable", session)
    await devtools.ask("Fetch.enable", session, patterns=[{"urlPattern": f"{_ADDRESS}*"}])
    going = asyncio.create_task(devtools.ask("Page.navigate", session, url=_ADDRESS))
    try:
        paused = await _event(devtools, session, "Fetch.requestPaused")
        await devtools.ask(
            "Fetch.fulfillRequest",
            session,
            requestId=paused["requestId"],
            responseCode=200,
            responseHeaders=[{"name": "Content-Type", "value": "text/html; charset=utf-8"}],
            body=base64.b64encode(document.encode()).decode(),
        )
        await _event(devtools, session, "Page.loadEventFired")
        await devtools.ask("Fetch.disable", session)
    finally:
        await going
    return target, session


async def _event(devtools: Devtools, session: str, wanted: str) -> dict[str, Any]:
    """Return the parameters of the next event of this name in a session; drop others. Raises Failed."""
    while True:
        of, name, about = await devtools.event()
        if (of, name) == (session, wanted):
            return about


async def _evaluate(devtools: Devtools, session: str, expression: str) -> None:
    """Evaluate an expression as if the user had asked for it, and wait for its promise. Raises Failed."""
    answer = await devtools.ask("Runtime.evaluate", session, expression=expression, awaitPromise=True, userGesture=True)
    if "exceptionDetails" in answer:
        about = answer["exceptionDetails"]
        raise Failed(f"The browser cannot capture the page: {about.get('exception', about).get('description', '')}")


@functools.cache
def _script() -> str:
    return Path(__file__).with_name("capture.js").read_text("utf-8")
