"""A supervised child: readiness, restart, stop."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parley.child import Child, ChildFailed, Program

READY = """
import os, signal, socket, sys, time
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
"""


def program(code: str, **fields: object) -> Program:
    return Program("child", [sys.executable, "-c", code], **fields)  # type: ignore[arg-type]  # keyword passing


async def until_changed(child: Child, pid: int) -> int:
    async with asyncio.timeout(30):
        while child.pid in (None, pid):
            await asyncio.sleep(0)
    assert child.pid is not None
    return child.pid


async def test_a_child_is_ready_when_it_says_so_and_stops_on_its_signal(tmp_path: Path) -> None:
    child = Child(program(READY + "signal.pause()"), tmp_path)
    await child.start()
    pid = child.pid
    assert pid is not None
    assert os.getsid(pid) == pid
    await child.stop(5)
    assert child.pid is None


async def test_a_child_that_ends_before_it_is_ready_is_shown_with_its_last_words(tmp_path: Path) -> None:
    child = Child(program("import sys; sys.exit('no disk left')"), tmp_path)
    with pytest.raises(ChildFailed, match="no disk left"):
        await child.start()
    await child.stop(1)


async def test_a_silent_child_is_given_up(tmp_path: Path) -> None:
    child = Child(program("import signal; signal.pause()"), tmp_path, ready_seconds=0.2)
    with pytest.raises(ChildFailed, match="was not ready"):
        await child.start()
    await child.stop(1)


async def test_a_killed_child_is_back_at_once(tmp_path: Path) -> None:
    child = Child(program(READY + "signal.pause()"), tmp_path)
    await child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until_changed(child, first)
    assert child.restarts == 1
    await child.stop(5)


async def test_a_child_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    child = Child(
        program(
            "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "\nwhile True: signal.pause()"
        ),
        tmp_path,
    )
    await child.start()
    await child.stop(0.2)
    assert child.pid is None


WAITS = "from pathlib import Path\nfrom parley.child import await_turn\n"


async def test_a_child_that_was_started_early_waits_for_its_turn(tmp_path: Path) -> None:
    imported, begun = tmp_path / "imported", tmp_path / "begun"
    code = f"{WAITS}Path({str(imported)!r}).touch()\nawait_turn()\nPath({str(begun)!r}).touch()\n{READY}signal.pause()"
    child = Child(program(code, waits=True), tmp_path)
    await child.prepare()
    pid = child.pid
    async with asyncio.timeout(30):
        while not imported.exists():
            await asyncio.sleep(0.01)
    assert not begun.exists()
    await child.start()
    assert begun.exists() and child.pid == pid
    os.kill(child.pid or 0, signal.SIGKILL)  # its successor need not wait
    await until_changed(child, pid or 0)
    while not child.is_ready:
        await asyncio.sleep(0.01)
    await child.stop(5)


async def test_a_child_that_waits_can_be_stopped_and_ends_with_its_supervisor(tmp_path: Path) -> None:
    child = Child(program(WAITS + "await_turn()", waits=True), tmp_path)
    await child.prepare()
    await child.stop(5)
    assert child.pid is None
    ended = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WAITS + "await_turn()\nprint('went on')"),
        env=os.environ | {"PARLEY_WAITS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, error = await ended.communicate()
    assert (ended.returncode, said) == (1, b"") and b"the supervisor has ended" in error


def delays(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().rpartition(" in ")[2] for record in caplog.records if "restarting" in record.msg]


async def test_who_ends_in_an_orderly_way_is_back_at_once_however_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ends = "\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + READY.partition("\n")[2] + "signal.pause()"
    child = Child(program("import os, signal, socket, sys" + ends), tmp_path)
    await child.start()
    for _ in range(3):
        pid = child.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        await until_changed(child, pid)
        while not child.is_ready:
            await asyncio.sleep(0.01)
    await child.stop(5)
    assert delays(caplog) == ["0.0 s"] * 3


async def test_who_ends_before_it_is_ready_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Even with code 0: it would otherwise be started without a pause, for ever."""
    once = tmp_path / "started"
    code = f"import pathlib, sys\nonce = pathlib.Path({str(once)!r})\nif once.exists(): sys.exit(0)\nonce.touch()"
    child = Child(program(code + READY), tmp_path)
    await child.start()
    async with asyncio.timeout(30):
        while len(delays(caplog)) < 3:
            await asyncio.sleep(0.01)
    await child.stop(5)
    assert delays(caplog)[:3] == ["0.0 s", "0.0 s", "0.5 s"]
