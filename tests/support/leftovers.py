"""Clean-up after a killed test run: its processes and its network namespaces.

After Ctrl-C, fixtures clean up. After SIGTERM and SIGKILL they do not, and servers and browsers run in their own
sessions. So each process that runs tests marks its environment, which all its child processes inherit, and has a
watcher that outlives it.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_MARK = "TESTS_RUNNER_PID"
_GRACE = 5.0  # seconds that a server gets to stop its parts and stores
_NAMESPACES = Path("/run/netns")
_OURS = re.compile(r"parley-(?:s-|h\d+-|e)(\d+)-\d+(?:-lan)?")


def watch() -> None:
    """Mark this process as a runner of tests, and start its watcher."""
    os.environ[_MARK] = str(os.getpid())
    # Without the mark, so that the watcher is not found too; in its own session, so that signals do not reach it.
    unmarked = {name: value for name, value in os.environ.items() if name != _MARK}
    os.posix_spawn(sys.executable, [sys.executable, __file__, str(os.getpid())], unmarked, setsid=True)


def sweep() -> None:
    """End the processes and delete the namespaces whose runner has ended."""
    for sent in signal.SIGTERM, signal.SIGKILL:
        left = _orphans()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        deadline = time.monotonic() + _GRACE
        while left and time.monotonic() < deadline:
            time.sleep(0.1)
            left = _orphans()
    for path in _NAMESPACES.glob("parley-*"):
        name = _OURS.fullmatch(path.name)
        if name and not _is_alive(int(name[1])):
            subprocess.run(["ip", "netns", "delete", path.name], check=False, capture_output=True)
            shutil.rmtree(Path("/etc/netns") / path.name, ignore_errors=True)


def _orphans() -> list[int]:
    """Return the pids of processes whose runner has ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().split(b"\0")
        except OSError:  # another user's process, or one that has just ended
            continue
        runner = next((row.partition(b"=")[2] for row in variables if row.startswith(f"{_MARK}=".encode())), b"")
        if runner and not _is_alive(int(runner)):
            found.append(int(path.parent.name))
    return found


def _is_alive(pid: int) -> bool:
    """Return whether a process is running. A zombie is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


if __name__ == "__main__":
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(int(sys.argv[1]))], [], [])
    sweep()
