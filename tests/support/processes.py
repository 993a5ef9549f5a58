"""The processes started by this one."""

from pathlib import Path


def children_running(module: str) -> set[int]:
    """Return the pids of our children that run `python -m module`."""
    found = set()
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            if module.encode() in command:
                found.add(int(pid))
    return found
