"""Control of Debian's Firefox over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), in a namespace if needed."""

import array
import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PREFS: Mapping[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage": "about:blank",
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
}
SMALL_CAMERA = """() => {
  const open = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = function (wanted) {
    const video = wanted.video && {...wanted.video, width: 320, height: 180, frameRate: 10};
    return open.call(this, {...wanted, video});
  };
}"""
"""A preload: the test camera, which has any size, has the size of Chromium's small one (see chromium.py)."""
START_SECONDS = 60
_LISTENING = re.compile(rb"WebDriver BiDi listening on ws://([0-9.]+):([0-9]+)")
_CONNECT = """
import socket, sys
passing = socket.socket(fileno=int(sys.argv[1]))
connected = socket.create_connection((sys.argv[2], int(sys.argv[3])))
socket.send_fds(passing, [b"x"], [connected.fileno()])
"""


class BidiError(Exception):
    """Firefox answered a command with an error, or an expression threw an exception."""


class Firefox:
    """A browser with one tab, and the pid of its main process."""

    def __init__(self, connection: ClientConnection, pid: int) -> None:
        self.pid = pid
        self._connection = connection
        self._last_id = 0
        self._context = ""

    async def start(self) -> None:
        """Open a session that accepts self-signed certificates."""
        await self.command("session.new", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": True}}})
        tree = await self.command("browsingContext.getTree", {})
        self._context = tree["contexts"][0]["context"]

    async def command(self, method: str, params: Mapping[str, Any]) -> Any:
        """Run a BiDi command and return its result; raises BidiError."""
        self._last_id += 1
        number = self._last_id
        await self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(await self._connection.recv())
            if answer.get("id") == number:
                if answer["type"] == "error":
                    raise BidiError(f"{method}: {answer['error']}: {answer['message']}")
                return answer["result"]

    async def navigate(self, url: str) -> None:
        """Load a page and wait until it is loaded completely."""
        await self.command("browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"})

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression as decoded JSON, awaited if it is a promise; raises BidiError."""
        wrapped = f"(async () => JSON.stringify(await ({expression})))()"
        answer = await self.command(
            "script.evaluate",
            {
                "expression": wrapped,
                "target": {"context": self._context},
                "awaitPromise": True,
                "userActivation": True,
            },
        )
        if answer["type"] == "exception":
            raise BidiError(answer["exceptionDetails"]["text"])
        value = answer["result"].get("value")
        return None if value is None else json.loads(value)

    async def until(self, expression: str, seconds: float = 30) -> Any:
        """Evaluate repeatedly until the value is truthy, and return it; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not (value := await self.evaluate(expression)):
                await asyncio.sleep(0.05)
            return value

    async def add_preload(self, function: str) -> None:
        """Run a JavaScript function, given as source, in every page before the page's own scripts."""
        await self.command("script.addPreloadScript", {"functionDeclaration": function})

    async def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport."""
        viewport = {"width": width, "height": height}
        await self.command("browsingContext.setViewport", {"context": self._context, "viewport": viewport})

    def kill(self) -> None:
        """Kill the browser with all its processes, as in a crash, without closing connections."""
        os.killpg(self.pid, signal.SIGKILL)

    async def screenshot(self, path: Path) -> None:
        """Write a PNG of the viewport."""
        answer = await self.command("browsingContext.captureScreenshot", {"context": self._context})
        path.write_bytes(base64.b64decode(answer["data"]))


@contextlib.asynccontextmanager
async def firefox(
    prefix: Sequence[str] = (), prefs: Mapping[str, bool | int | str] | None = None
) -> AsyncIterator[Firefox]:
    """Run a headless Firefox; `prefix` is the argv that enters a namespace, `prefs` are added to PREFS."""
    with tempfile.TemporaryDirectory(prefix="parley-firefox-", ignore_cleanup_errors=True) as directory:
        profile = Path(directory)
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in {**PREFS, **(prefs or {})}.items())
        (profile / "user.js").write_text("".join(lines))
        process = await asyncio.create_subprocess_exec(
            *prefix, "/usr/bin/firefox-esr", "--headless", "--no-remote", "--profile", directory,
            "--remote-debugging-port", "0", "about:blank",
            env={**os.environ, "HOME": directory, "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            host, port = await _listening(process.stderr)
            draining = asyncio.create_task(_drain(process.stderr))
            connected = _connect_within(prefix, host, port) if prefix else None
            async with connect(f"ws://{host}:{port}/session", sock=connected, max_size=None, proxy=None) as connection:
                browser = Firefox(connection, process.pid)
                await browser.start()
                yield browser
            draining.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _listening(stderr: asyncio.StreamReader) -> tuple[str, int]:
    seen = b""
    async with asyncio.timeout(START_SECONDS):
        while line := await stderr.readline():
            seen += line
            if match := _LISTENING.search(line):
                return match[1].decode(), int(match[2])
    raise BidiError(f"Firefox did not start: {seen[-2000:].decode(errors='replace')}")


async def _drain(stderr: asyncio.StreamReader) -> None:
    while await stderr.read(65536):
        pass


def _connect_within(prefix: Sequence[str], host: str, port: int) -> socket.socket:
    """Connect from within the namespace, since a socket stays in the namespace that it was created in."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [*prefix, sys.executable, "-c", _CONNECT, str(theirs.fileno()), host, str(port)]
        subprocess.run(command, pass_fds=[theirs.fileno()], check=True, timeout=60)
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_LEN(array.array("i").itemsize))
        descriptor = array.array("i", ancillary[0][2])[0]
    connected = socket.socket(fileno=descriptor)
    connected.setblocking(False)
    return connected
