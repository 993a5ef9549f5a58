"""The process of a part, as the first process of a container."""

import subprocess
import sys

PROGRAM = """
import asyncio, os, signal, time
from foundation.settings import resolve
from parley import part_process

part_process.STOP_SECONDS = 0.3

async def part(ready):
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        await asyncio.sleep(60)
    finally:
        time.sleep(60)  # hangs

part_process.run(resolve({}, {"HOME": "/nowhere"}), "sfu", part)
"""


def test_a_shutdown_that_hangs_is_ended_and_says_where_it_stood() -> None:
    """The kernel gives the first process of a PID namespace no default action of any signal."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", PROGRAM]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, env=environment)
    assert done.returncode != 0
    assert "Timeout" in done.stderr and "in part" in done.stderr
