"""`parley flight replay --plot`: a call's estimate, allocation, capacity and delay as an image."""

import subprocess
import sys
from pathlib import Path

import pytest

from parley.flight_command import run
from parley.flight_plot import read_capacity, write_plot
from sfu.flight import dump as flight_dump
from sfu.flight.series import series
from tests.sfu.rooms.simulcast_call import RATES, Call
from tests.sfu.rooms.stage import MS
from tests.support.link_model import LinkSettings


@pytest.fixture(scope="module")
def dump() -> bytes:
    """Of a call whose link narrows."""
    call = Call(LinkSettings(rate=3_000_000, delay=20 * MS))
    call.run(3)
    call.viewer.link.change(call.stage.now, rate=600_000)
    call.run(2)
    return call.stage.node.rooms["r"].dump_flight("asked for", call.stage.now)


def test_the_curves_tell_what_happened(dump: bytes) -> None:
    curves = series(flight_dump.read(dump)[1])
    assert set(curves) == {"bob"}
    link = curves["bob"]
    assert link.recorded == link.replayed
    assert max(rate for _, rate in link.replayed) > 2e6
    assert link.replayed[-1][1] < 1e6
    assert max(rate for _, rate in link.allocated) > RATES["f"]
    assert RATES["q"] * 0.8 < link.allocated[-1][1] < RATES["h"]
    assert min(delay for _, delay in link.delay) == 0
    assert max(delay for _, delay in link.delay) > 150


def test_what_was_granted_last_holds_to_the_end() -> None:
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS))
    call.run(8)
    link = series(flight_dump.read(call.stage.node.rooms["r"].dump_flight("asked for", call.stage.now))[1])["bob"]
    assert link.allocated[-1][0] >= link.replayed[-1][0]
    assert link.allocated[-1][1] > RATES["f"]


def test_they_are_drawn(dump: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture, capacity = tmp_path / "call.flight", tmp_path / "call.png", tmp_path / "capacity"
    file.write_bytes(dump)
    begin = flight_dump.read(dump)[0].monotonic_ms / 1000 - 5
    capacity.write_text(f"# seconds, bits/s\n{begin}, 3000000\n{begin + 3} 600000\n")
    assert run(["replay", str(file), "--plot", str(picture), "--who", "bob", "--capacity", str(capacity)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "plot in" in capsys.readouterr().out


def test_what_cannot_be_drawn_is_said(dump: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, capacity = tmp_path / "call.flight", tmp_path / "capacity"
    file.write_bytes(dump)
    assert run(["replay", str(file), "--plot", str(tmp_path / "x.png"), "--who", "nobody"]) == 1
    assert "nothing to plot" in capsys.readouterr().err
    capacity.write_text("3 4\n5\n")
    with pytest.raises(ValueError, match="line 2"):
        read_capacity(capacity)
    link = series(flight_dump.read(dump)[1])["bob"]
    with pytest.raises(ValueError, match="--who"):
        write_plot(tmp_path / "x.png", {str(number): link for number in range(13)})


def test_a_reader_that_has_seen_enough_is_no_error(dump: bytes, tmp_path: Path) -> None:
    file = tmp_path / "call.flight"
    file.write_bytes(dump)
    command = [sys.executable, "-m", "parley", "flight", "show", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 0
