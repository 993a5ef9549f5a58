"""Control's keys for deployments with external stores: created once, and only on request."""

import stat
from pathlib import Path

import pytest

from control.identity import keys
from parley.cli import main


def test_keys_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="parley make-keys"):
        keys.load(tmp_path / "control", may_create=False)
    assert main(["make-keys"]) == 0
    made = {path.name: path.read_bytes() for path in (tmp_path / "control").iterdir()}
    assert len(made) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "control").iterdir()} == {0o600}
    assert main(["make-keys"]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "control").iterdir()} == made
    assert keys.load(tmp_path / "control", may_create=False).kid


def test_a_directory_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "control").write_text("a file")
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    assert main(["make-keys"]) == 1
    assert "control" in capsys.readouterr().err
