"""The share of time for which this process and its descendants waited for a processor (proc(5), `schedstat`).

A run in real time says little about a link if its browsers and its emulator had to wait for other programs.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_INTERVAL = 1.0
_PROC = Path("/proc")


@dataclass(slots=True)
class Starvation:
    """Times of all threads since the first look, also of those that have ended, in ns."""

    _first: dict[str, tuple[int, int]] = field(default_factory=dict)
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The time spent waiting, as a share of the time in which threads ran or waited."""
        ran = waited = 0
        for thread, (ran_until, waited_until) in self._last.items():
            ran += ran_until - self._first[thread][0]
            waited += waited_until - self._first[thread][1]
        return waited / max(ran + waited, 1)

    def look(self) -> None:
        for process in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                for task in (_PROC / str(process) / "task").iterdir():
                    with contextlib.suppress(OSError):
                        ran, waited, _ = (int(value) for value in (task / "schedstat").read_text().split())
                        self._first.setdefault(task.name, (ran, waited))
                        self._last[task.name] = (ran, waited)


def descendants(root: int) -> list[int]:
    """Return a process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


@contextlib.contextmanager
def starvation() -> Iterator[Starvation]:
    """Look every second, in a thread."""
    seen = Starvation()
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_INTERVAL):
            seen.look()

    seen.look()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
