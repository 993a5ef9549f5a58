"""Leftovers of a killed supervisor: a lock, processes, socket files. Each data directory allows one supervisor."""

import contextlib
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from types import TracebackType

_DYING_SECONDS = 5.0
_PROCESSES = "processes.json"


class AlreadyRunning(RuntimeError):
    """Another supervisor is using the data directory; the message names its pid."""


class DataLock:
    """An exclusive lock on a data directory for the life of the supervisor; the kernel drops it with the process."""

    def __init__(self, data: Path) -> None:
        self._path = data / "parley.lock"
        self._descriptor = -1

    def __enter__(self) -> "DataLock":
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.read(self._descriptor, 32).decode().strip()
            os.close(self._descriptor)
            raise AlreadyRunning(f"parley is already running on {self._path.parent} (pid {pid})") from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def record_processes(runtime: Path, pids: dict[str, int]) -> None:
    """Remember the children with their start times, so that a later start can tell them from other processes."""
    rows = {name: [pid, started] for name, pid in pids.items() if (started := _start_time(pid)) is not None}
    temporary = runtime / f"{_PROCESSES}.new"
    temporary.write_text(json.dumps(rows))
    temporary.replace(runtime / _PROCESSES)


def forget_processes(runtime: Path) -> None:
    """Note that nothing is left, so a later start need not look."""
    (runtime / _PROCESSES).unlink(missing_ok=True)


def clear(runtime: Path) -> list[str]:
    """End the remaining children of a killed supervisor and remove stale sockets; return a description of them."""
    found = []
    path = runtime / _PROCESSES
    with contextlib.suppress(FileNotFoundError, ValueError):
        rows = json.loads(path.read_text())
        deadline = time.monotonic() + _DYING_SECONDS
        for name, (pid, started) in rows.items():
            if _start_time(pid) == started:
                found.append(f"{name} (pid {pid})")
                _end(pid, started, deadline)
    forget_processes(runtime)
    for stale in [*runtime.glob("*.sock"), *runtime.glob("*.notify")]:
        stale.unlink(missing_ok=True)
    return found


def _end(pid: int, started: str, deadline: float) -> None:
    """Let a dying process finish until the deadline, then kill it."""
    while _start_time(pid) == started and time.monotonic() < deadline:
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        if _start_time(pid) == started:
            os.kill(pid, signal.SIGKILL)


def _start_time(pid: int) -> str | None:
    """Return field 22 of /proc/pid/stat (proc(5)), or None if there is no such process or file system."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
