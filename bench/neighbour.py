"""A program that uses a share of a server's core, as on a busy host; run as `python -m bench.neighbour`.

It is busy for this share of each 10 ms. If the benchmark has real-time priority, this program gets a higher one, so the
server gets exactly the rest. Otherwise it competes with the server.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from bench.cores import pinned
from bench.sfu_process import WITH_US, stopped

_PERIOD_NS = 10_000_000


@contextlib.contextmanager
def neighbour(cores: Sequence[int], share: float) -> Iterator[None]:
    """Let another program use a share, 0 to 1, of each of these cores while the context is open."""
    with contextlib.ExitStack() as stack:
        for core in cores if share else ():
            with pinned([core]):
                command = [*WITH_US, sys.executable, "-m", "bench.neighbour", str(share)]
                stack.enter_context(stopped(subprocess.Popen(command)))
        yield


def _take(share: float) -> None:
    policy = os.sched_getscheduler(0)
    if policy != os.SCHED_OTHER:
        os.sched_setscheduler(0, policy, os.sched_param(os.sched_getparam(0).sched_priority + 1))
    begun = time.monotonic_ns()
    while True:
        ends = begun + int(share * _PERIOD_NS)
        while time.monotonic_ns() < ends:
            pass
        begun += _PERIOD_NS
        time.sleep(max(0, begun - time.monotonic_ns()) / 1e9)


if __name__ == "__main__":
    _take(float(sys.argv[1]))
