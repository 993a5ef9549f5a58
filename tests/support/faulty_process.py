"""A real program of a test, crashed, frozen and started again as it was, with everything that it started."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import until


class FaultyProcess:
    """The process below this one whose command line contains `words`. Its data and addresses stay the same."""

    def __init__(self, *words: str) -> None:
        self._words = words
        found = [pid for pid in _below(os.getpid()) if all(word in " ".join(_command(pid)) for word in words)]
        assert found, f"no process of this test has {words} in its command line"
        self._pid = found[0]  # the one that started the others
        self._command = [*_as_user_of(self._pid), *_command(self._pid)]
        self._directory = Path(f"/proc/{self._pid}/cwd").readlink()
        entries = Path(f"/proc/{self._pid}/environ").read_bytes().decode().split("\0")
        self._environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)
        self._again: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Crash it, and start it again at the end of the block."""
        pids = [self._pid, *_below(self._pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not any(_is_running(pid) for pid in pids), 30, f"{self._words} does not end")
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)  # PostgreSQL finds its lock stale only if nothing has that pid
        try:
            yield
        finally:
            self._again = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._pid = self._again.pid

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend it within the block, like a machine that hangs: its connections stay open."""
        pids = [self._pid, *_below(self._pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """End what was started here. The first process belongs to whoever started it."""
        if self._again is not None:
            for pid in [self._again.pid, *_below(self._again.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._again.wait()


def _below(pid: int) -> list[int]:
    """Return the descendants of a process, the nearest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found + [below for child in found for below in _below(child)]


def _as_user_of(pid: int) -> list[str]:
    """Return the argv prefix that runs a program as the user of a process, like that of the embedded PostgreSQL."""
    if Path(f"/proc/{pid}/ns/user").readlink() != Path("/proc/self/ns/user").readlink():
        return ["unshare", "--user", "--map-user=65534", "--"]
    uid = Path(f"/proc/{pid}").stat().st_uid
    return [] if uid == os.geteuid() else ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]


def _command(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    return []


def _is_running(pid: int) -> bool:
    """Return whether a process exists, other than as an ended one that nobody has waited for."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False
