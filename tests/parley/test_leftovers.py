"""Leftovers of a killed supervisor are found and ended; a running one is respected."""

import subprocess
import sys
from pathlib import Path

import pytest

from parley import leftovers


def test_a_second_supervisor_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with leftovers.DataLock(tmp_path), pytest.raises(leftovers.AlreadyRunning, match="already running"):
        leftovers.DataLock(tmp_path).__enter__()
    with leftovers.DataLock(tmp_path):
        pass


def test_processes_of_a_killed_supervisor_are_ended_and_sockets_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_DYING_SECONDS", 0.1)
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        leftovers.record_processes(tmp_path, {"sfu": process.pid})
        (tmp_path / "sinks.sock").touch()
        assert leftovers.clear(tmp_path) == [f"sfu (pid {process.pid})"]
        assert process.wait(30) != 0
    assert not (tmp_path / "sinks.sock").exists()
    assert leftovers.clear(tmp_path) == []


def test_a_stranger_with_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        (tmp_path / "processes.json").write_text(f'{{"sfu": [{process.pid}, "1"]}}')
        assert leftovers.clear(tmp_path) == []
        assert process.poll() is None
        process.kill()
