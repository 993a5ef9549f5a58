"""A browser that is controlled over a pipe, by Chrome's protocol (chromedevtools.github.io/devtools-protocol).

It has a profile of its own, which is deleted at the end, no secrets in its environment, and no way to the network but a
proxy. It ends with its pipe, so also with this process.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from foundation.background import cancel_all
from ingress.stream import Failed

_LAUNCH = "import os, sys; fd = int(sys.argv[1]); os.dup2(fd, 3); os.dup2(fd, 4); os.execv(sys.argv[2], sys.argv[2:])"
"""Chromium reads commands from descriptor 3, and writes to 4."""
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--hide-scrollbars",
    "--password-store=basic",
    "--autoplay-policy=no-user-gesture-required",
)
_ANSWER_SECONDS = 30.0
_LARGEST = 16 << 20
_MOST_EVENTS = 2000
"""The events that may wait, as a page causes them."""

Event = tuple[str, str, dict[str, Any]]
"""A session, the name of an event in it, and its parameters."""


class Devtools:
    """The connection to a running browser. Requests raise Failed if it is gone or refuses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_MOST_EVENTS)
        self._error = ""

    async def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Return the result of a request, in the session of a tab or, without one, of the browser. Raises Failed."""
        if self._error:
            raise Failed(self._error)
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(number, method, session, params)
            async with asyncio.timeout(_ANSWER_SECONDS):
                result: dict[str, Any] = await answer
                return result
        except TimeoutError as error:
            raise Failed("The browser does not answer.") from error
        finally:
            self._waiting.pop(number, None)

    def tell(self, method: str, session: str = "", **params: Any) -> None:
        """Send a request whose answer does not matter."""
        self._send(next(self._numbers), method, session, params)

    async def event(self) -> Event:
        """Return the next event. Raises Failed."""
        found = await self._events.get()
        if found is None:
            raise Failed(self._error)
        return found

    async def run(self) -> None:
        """Read what the browser says until it ends."""
        try:
            while True:
                message = msgspec.json.decode((await self._reader.readuntil(b"\0"))[:-1])
                if "id" in message:
                    self._take(message)
                else:
                    self._events.put_nowait(
                        (message.get("sessionId", ""), message["method"], message.get("params", {}))
                    )
        except asyncio.QueueFull:
            self._end("The page causes too many events.")
        except (OSError, EOFError, asyncio.LimitOverrunError, msgspec.DecodeError):
            self._end("The browser has ended.")

    def _send(self, number: int, method: str, session: str, params: dict[str, Any]) -> None:
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\0")

    def _take(self, message: dict[str, Any]) -> None:
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(Failed(f"The browser refuses: {message['error'].get('message', '')}"))
        else:
            answer.set_result(message.get("result", {}))

    def _end(self, error: str) -> None:
        self._error = error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Failed(error))
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(None)


@contextlib.asynccontextmanager
async def browser(program: str, flags: Sequence[str]) -> AsyncIterator[Devtools]:
    """Run a browser; at the end, its whole process group is killed. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="parley-browser-", ignore_cleanup_errors=True) as profile:
        ours, theirs = socket.socketpair()
        command = [program, *_FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # which Chromium demands from root
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-c", _LAUNCH, str(theirs.fileno()), *command,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),), start_new_session=True, cwd=profile,
                env={"PATH": os.defpath, "HOME": profile, "TMPDIR": profile, "LANG": "C.UTF-8"},
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            async with _connection(ours) as devtools:
                yield devtools
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@contextlib.asynccontextmanager
async def _connection(ours: socket.socket) -> AsyncIterator[Devtools]:
    reader, writer = await asyncio.open_connection(sock=ours, limit=_LARGEST)
    devtools = Devtools(reader, writer)
    reading = asyncio.create_task(devtools.run())
    try:
        yield devtools
    finally:
        await cancel_all([reading])
        writer.close()
