"""Inspection of a running process, to find out why it is stuck, slow or large.

All output is text. Nothing is installed or slowed down until an operator asks.
"""

import asyncio
import gc
import io
import sys
import threading
import time
import traceback
import tracemalloc
from collections import Counter

_FRAMES = 40
_SAMPLES_PER_SECOND = 100
_MOST_TASKS = 500
_LARGEST = 40


def stacks() -> str:
    """Return the stack of every thread, and of every task of this thread's event loop."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    said = [
        f"thread {names.get(number, number)}:\n{''.join(traceback.format_stack(frame, _FRAMES))}"
        for number, frame in sys._current_frames().items()
    ]
    return "\n".join([*said, tasks()])


def tasks() -> str:
    """Return the stack of every task of the running loop, with equal ones grouped; "" without a loop."""
    try:
        running = asyncio.all_tasks()
    except RuntimeError:
        return ""
    alike: dict[str, list[str]] = {}
    for task in running:
        text = io.StringIO()
        task.print_stack(limit=_FRAMES, file=text)
        alike.setdefault(text.getvalue().partition("\n")[2], []).append(task.get_name())
    ordered = sorted(alike.items(), key=lambda one: -len(one[1]))[:_MOST_TASKS]
    return "\n".join([f"{len(running)} tasks", *(f"{len(names)} × {names[0]}:\n{where}" for where, names in ordered)])


def profile(seconds: float) -> str:
    """Sample the stacks of all other threads for a while; return them one per line, with counts (for flame graphs)."""
    own, counts = threading.get_ident(), Counter[str]()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for number, frame in sys._current_frames().items():
            if number != own:
                walked = [
                    f"{one.f_code.co_qualname} ({one.f_code.co_filename.rpartition('/')[2]}:{line})"
                    for one, line in traceback.walk_stack(frame)
                ]
                counts[";".join(reversed(walked))] += 1
        time.sleep(1 / _SAMPLES_PER_SECOND)
    return "".join(f"{stack} {count}\n" for stack, count in counts.most_common())


def heap(seconds: float) -> str:
    """Return the types with the most objects, and the lines that allocated most during a while."""
    kinds = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    said = [f"{count:>9} {kind}" for kind, count in kinds.most_common(_LARGEST)]
    tracemalloc.start(8)
    try:
        before = tracemalloc.take_snapshot()
        time.sleep(seconds)
        grown = tracemalloc.take_snapshot().compare_to(before, "lineno")
    finally:
        tracemalloc.stop()
    lines = [f"{one.size_diff:>+9} bytes, {one.count_diff:+} objects: {one.traceback}" for one in grown[:_LARGEST]]
    return "\n".join(["objects by type", *said, f"allocated in {seconds:g} s and kept", *lines, ""])
