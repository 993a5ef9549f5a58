"""Confinement of workers, tested in a real process with the workers' own limits."""

import subprocess
import sys

import pytest

PROBE = """
import os, socket, subprocess, sys, threading
from foundation import confinement
confinement.limit(memory_bytes=1 << 30, nice=10)
inside = threading.Event(); go = threading.Event()
def late():
    inside.set(); go.wait(); attempt("thread")
def attempt(where):
    for name, action in ACTIONS.items():
        try:
            action()
            print(where, name, "allowed")
        except (OSError, MemoryError) as error:
            print(where, name, type(error).__name__)
ACTIONS = {
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "read": lambda: open("/etc/hostname"),
    "write": lambda: open("/tmp/parley-sandbox-probe", "w"),
    "program": lambda: subprocess.run(["/bin/true"]),
    "signal": lambda: os.kill(os.getppid(), 0),
    "memory": lambda: bytearray(2 << 30),
}
thread = threading.Thread(target=late); thread.start(); inside.wait()
print("held", *confinement.confine())
attempt("main"); go.set(); thread.join()
print("nice", os.getpriority(os.PRIO_PROCESS, 0))
"""


@pytest.fixture(scope="module")
def report() -> list[str]:
    result = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=30)
    return result.stdout.splitlines()


def test_network_files_programs_and_memory_are_denied_to_every_thread(report: list[str]) -> None:
    assert "held rlimits seccomp" in report
    assert not [line for line in report if line.endswith("allowed")]
    assert len([line for line in report if line.startswith(("main", "thread"))]) == 14


def test_a_worker_is_less_important_than_the_call(report: list[str]) -> None:
    assert int(report[-1].split()[1]) >= 10
