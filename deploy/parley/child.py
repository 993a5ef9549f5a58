"""A supervised process: started in its own session, watched, restarted with back-off, stopped in limited time."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foundation.background import cancel_all
from foundation.backoff import Backoff
from parley.part_secrets import inherited

_log = logging.getLogger("parley.supervisor")

_LONGEST_PAUSE = 10.0
_STEADY_SECONDS = 60.0
_LINE_LIMIT = 64 * 1024
_WAITS = "PARLEY_WAITS"


class ChildFailed(RuntimeError):
    """A child ended, or was not ready in time; the message names it and shows its last output."""


@dataclass(frozen=True, slots=True)
class Program:
    """A command to run. `until_ready` returns once it is ready; None means that it sends READY=1 (sd_notify).

    `environment` is added to our environment without its secrets.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    until_ready: Callable[[], Awaitable[None]] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    quiet: bool = False
    labelled: bool = True
    """True to prefix its lines with its name; JSON lines contain it."""
    before_start: Callable[[], None] | None = None
    descriptors: tuple[int, ...] = ()
    """Open descriptors that it inherits under the same numbers."""
    waits: bool = False
    """True if it can be started early, and then waits for its turn (see `await_turn`)."""


def dying_with_parent(command: Sequence[str], number: signal.Signals) -> list[str]:
    """Return an argv that sends another program a signal when the supervisor dies (Linux, util-linux)."""
    if sys.platform != "linux":
        return list(command)
    return ["setpriv", "--pdeathsig", number.name.removeprefix("SIG"), "--", *command]


def await_turn() -> None:
    """Wait until the supervisor lets this process go on, if it was started early to import its modules meanwhile."""
    if os.environ.pop(_WAITS, "") and not sys.stdin.buffer.readline():
        sys.exit("the supervisor has ended")


class Child:
    """Keeps a program running until `stop`; `started` is called for each new process.

    A program that fails is restarted at once, then with growing delays. One that ends with 0 after it was ready was
    asked to end, and is restarted at once.
    """

    def __init__(
        self,
        program: Program,
        runtime: Path,
        ready_seconds: float = 60.0,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self.program = program
        self.restarts = 0
        self.is_ready = False
        self._runtime = runtime
        self._ready_seconds = ready_seconds
        self._started = started
        self._process: asyncio.subprocess.Process | None = None
        self._notify: _NotifySocket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_lines: list[str] = []
        self._stopping = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def prepare(self) -> None:
        """Start a program that waits for its turn. Raises OSError."""
        if self.program.waits:
            await self._run(waits=True)

    async def start(self) -> None:
        """Start it, wait until it is ready, then keep it running; raises ChildFailed if it does not become ready."""
        if self._notify is None:
            await self._run()
        await self._launch()
        self._spawn(self._keep_running())

    async def stop(self, seconds: float) -> None:
        """Send its stop signal, and after `seconds` SIGKILL to its session."""
        self._stopping = True
        process = self._process
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.program.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), seconds)
            except TimeoutError:
                _log.warning("%s did not stop within %.1f s; killing it", self.program.name, seconds)
                _kill_session(process.pid)
                await process.wait()
        await cancel_all(self._tasks)
        self._forget_notify()

    def _forget_notify(self) -> None:
        if self._notify is not None:
            self._notify.close()
        self._notify = None

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, *, waits: bool = False) -> None:
        """Start the process."""
        program = self.program
        if program.before_start:
            await asyncio.to_thread(program.before_start)
        self._notify = _NotifySocket(self._runtime / f"{program.name}.notify")
        environment = inherited(os.environ) | program.environment | {"PARLEY_SUPERVISOR_PID": str(os.getpid())}
        if program.until_ready is None:
            environment["NOTIFY_SOCKET"] = str(self._notify.path)
        if waits:
            environment[_WAITS] = "1"
        try:
            self._process = await asyncio.create_subprocess_exec(
                *program.command,
                env=environment,
                stdin=asyncio.subprocess.PIPE if waits else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                pass_fds=program.descriptors,
                limit=_LINE_LIMIT,
            )
        except OSError:
            self._forget_notify()
            raise
        self._started()
        self._spawn(self._relay_output(self._process))

    async def _launch(self) -> None:
        """Let the process begin, and wait until it is ready."""
        process, notify = self._process, self._notify
        assert process is not None and notify is not None
        self.is_ready, self._notify = False, None
        with notify:
            if process.stdin is not None:
                process.stdin.write(b"\n")
                process.stdin.close()
            await self._until_ready(process, notify)
            self.is_ready = True

    async def _until_ready(self, process: asyncio.subprocess.Process, notify: "_NotifySocket") -> None:
        ready = asyncio.ensure_future(self.program.until_ready() if self.program.until_ready else notify.ready())
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=self._ready_seconds, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                ready.result()
                return
            said = "\n  ".join(self._last_lines[-8:]) or "(no output)"
            if ended.done():
                raise ChildFailed(f"{self.program.name} ended with code {process.returncode}:\n  {said}")
            raise ChildFailed(f"{self.program.name} was not ready after {self._ready_seconds:.0f} s:\n  {said}")
        finally:
            await cancel_all((ready, ended))

    async def _keep_running(self) -> None:
        backoff = Backoff(_LONGEST_PAUSE)
        while not self._stopping and self._process:
            started = time.monotonic()
            code = await self._process.wait()
            if self._stopping:
                return
            orderly = self.is_ready and code == 0
            if orderly or time.monotonic() - started > _STEADY_SECONDS:
                backoff.reset()
            delay = 0.0 if orderly else backoff.pause()
            self.restarts += 1
            _log.warning("%s ended with code %s; restarting in %.1f s", self.program.name, code, delay)
            await asyncio.sleep(delay)
            try:
                await self._run()
                await self._launch()
            except (ChildFailed, OSError) as error:
                _log.error("%s", error)
                if self.pid:
                    _kill_session(self.pid)

    async def _relay_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit; the rest follows as further lines
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self._last_lines = [*self._last_lines[-19:], text]
            if not self.program.quiet:
                label = f"{self.program.name:>9} | " if self.program.labelled else ""
                print(f"{label}{text}", file=sys.stderr, flush=True)


class _NotifySocket:
    """The receiving end of sd_notify for one child."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))

    def __enter__(self) -> "_NotifySocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)

    async def ready(self) -> None:
        loop = asyncio.get_running_loop()
        while b"READY=1" not in await loop.sock_recv(self._socket, 4096):
            pass


def _kill_session(pid: int) -> None:
    """Kill a child with everything in its session's process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
