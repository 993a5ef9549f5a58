"""The process of a part as the first process of a container."""

import signal
import subprocess
import sys
from pathlib import Path

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


ASKED = """
import asyncio, os, signal
from foundation.settings import resolve
from parley import inspect_command, part_process
from parley.inspection_socket import path_of

settings = resolve({}, {"HOME": "/nowhere", "PARLEY_RUNTIME_DIR": RUNTIME})

async def a_task_with_a_name():
    await asyncio.sleep(60)

async def part(ready):
    task = asyncio.create_task(a_task_with_a_name())
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    for what in ("stacks", "profile", "heap"):
        print(await inspect_command.ask(path_of(settings, "recorder"), what, 0.1), flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

part_process.run(settings, "recorder", part)
"""


def test_a_part_says_what_it_is_doing_and_where_it_crashed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"RUNTIME = {str(tmp_path)!r}\n{ASKED}"]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, env=environment)
    assert done.returncode == -signal.SIGSEGV, done.stderr
    assert "a_task_with_a_name" in done.stdout and "(runners.py:" in done.stdout and "objects by type" in done.stdout
    assert "requested by SIGUSR1" in done.stderr and "Segmentation fault" in done.stderr
    assert (tmp_path / "inspect-recorder").stat().st_mode & 0o077 == 0
