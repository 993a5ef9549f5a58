"""`parley up` from an operator's view: stops completely, recovers from kills, finds its data, refuses clearly."""

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from parley_client import Api
from tests.support.call import PASSWORD, become_admin
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until


def descendants(pid: int) -> set[int]:
    """Every process that was started by `pid`, directly or not."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found: set[int] = set()
    while True:
        more = {child for child, parent in parents.items() if parent == pid or parent in found} - found
        if not more:
            return found
        found |= more


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and "Z" not in _state(pid)}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_an_interrupt_stops_everything() -> None:
    with running_server() as server:
        children = descendants(server.process.pid)
        assert len(children) >= 6
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        until(lambda: not alive(children), 30)  # grandchildren end when the kernel tells them of their parent's end


def test_commands_beside_a_server_find_the_ports_that_it_picked() -> None:
    with running_server() as server:

        def said(*command: str, **settings: str) -> str:
            done = server.command(*command, **settings)
            return done.stdout + done.stderr

        until(lambda: said("nodes", "list").startswith("sfu-1  living"), 30)  # control asks each second
        assert "the node answered 404" in said("flight", "fetch", "no-such-meeting")
        assert "127.0.0.1:9 " in said("nodes", "list", internal_port="9")  # what is said counts


async def test_a_killed_supervisor_leaves_nothing_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    where = {"data_dir": str(tmp_path / "data"), "runtime_dir": str(tmp_path / "run")}
    with running_server(from_nothing=True, **where) as server:
        async with Api(server.url) as admin:
            await become_admin(admin, server.setup_token)
            meeting = await admin.create_meeting("Kept")
        children = descendants(server.process.pid)
        os.kill(server.process.pid, signal.SIGKILL)
        until(lambda: not alive(children), 30)
    (tmp_path / "run" / "sinks.sock").touch()  # as a part leaves it that was killed too
    with running_server(**where) as server:
        assert not server.setup_link
        async with Api(server.url) as admin:
            await admin.login("admin", PASSWORD)
            assert (await admin.request("GET", f"/meetings/{meeting}"))["title"] == "Kept"


async def test_a_killed_part_is_back_and_calls_can_be_made_again() -> None:
    with running_server() as server:
        for part in ("recorder", "sfu", "control"):
            before = server.part_pid(part)
            os.kill(before, signal.SIGKILL)
            until(partial(_has_new_pid, server, part, before), 30)
        until(partial(_accepts, server.http_port), 30)
        async with Api(server.url) as admin:
            await become_admin(admin, server.setup_token)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _has_new_pid(server: RunningServer, part: str, before: int) -> bool:
    return server.part_pid(part) != before


def refused(**settings: str) -> str:
    """Return the one line that `parley up` prints when it refuses to start."""
    environment = os.environ | {f"PARLEY_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "parley", "up"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("parley:")]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(data_dir=str(tmp_path / "d"), runtime_dir=str(tmp_path / "r"), http_port=str(port))
    assert f"http_port {port} is in use" in line


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = refused(data_dir=str(tmp_path / "file" / "data"), runtime_dir=str(tmp_path / "r"))
    assert "cannot create the directory" in line


def test_a_second_start_on_the_same_data_is_one_clear_line() -> None:
    with running_server() as server:
        line = refused(data_dir=str(server.data), runtime_dir=str(server.runtime), http_port="0", https_port="0")
        assert "already running" in line
        assert str(server.process.pid) in line


@pytest.mark.parametrize("version", ["3.8", "3.10"])
def test_a_python_that_is_too_old_is_one_clear_line(tmp_path: Path, version: str) -> None:
    old = tmp_path / "python3"
    old.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}.1" && exit 0\nexit 1\n')
    old.chmod(0o755)
    script = Path(__file__).parents[2] / "deploy" / "make-venv.sh"
    copied = tmp_path / "deploy" / script.name
    copied.parent.mkdir()
    copied.write_text(script.read_text())
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHON": "python3"}
    done = subprocess.run(["sh", str(copied)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert f"Python {version}.1" in done.stderr
