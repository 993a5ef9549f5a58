"""The command line: flags of settings in groups, and old names of flags with one warning."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.setting_groups import GROUPS
from parley import cli


def test_help_shows_every_setting_below_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["up", "--help"])
    shown = capsys.readouterr().out
    places = [shown.index(f"\n{group.title}:\n") for group in GROUPS]
    assert places == sorted(places)
    for group, place, end in zip(GROUPS, places, [*places[1:], len(shown)], strict=True):
        for setting in group.settings:
            assert (f"  --{setting.name.replace('_', '-')} " in shown[place:end]) is not setting.secret, setting.name
    assert "--spill-at" not in shown


def test_a_verb_with_flags_of_its_own_shows_these_alone_and_takes_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PARLEY_NODE_SECRET", "of-tests")
    with pytest.raises(SystemExit):
        cli.main(["nodes", "drain", "--help"])
    shown = capsys.readouterr().out
    assert "  --grace SECONDS" in shown
    assert len(shown.splitlines()) < 15
    assert cli.main(["nodes", "list", "--control-url", "http://127.0.0.1:9"]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err


def test_an_old_flag_is_taken_with_one_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "parley", "config", "--node", "a", "--spill-at", "3", "--public", "x.example"]
    environment = os.environ | {"PARLEY_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    values = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if len(line.split()) > 1}
    assert (values["sfu_node"], values["max_participants_per_node"], values["public_hosts"]) == ("a", "3", "x.example")
    (warning,) = done.stderr.splitlines()
    assert "node is now sfu_node" in warning and "spill_at is now max_participants_per_node" in warning


def test_a_removed_setting_is_taken_with_a_warning(tmp_path: Path) -> None:
    toml = tmp_path / "parley.toml"
    toml.write_text("inference_denoise = true\n")
    command = [sys.executable, "-m", "parley", "config", "--config", str(toml)]
    environment = os.environ | {"PARLEY_HTTP3": "on", "PARLEY_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "http3" not in done.stdout
    (warning,) = done.stderr.splitlines()
    assert "http3 (the gateway serves HTTP/3)" in warning and "inference_denoise" in warning


def test_settings_are_shown_while_the_server_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    environment = os.environ | {"PARLEY_DATA_DIR": str(tmp_path), "PARLEY_RUNTIME_DIR": str(tmp_path / "run")}
    command = [sys.executable, "-m", "parley", "config"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "http_port" in done.stdout
    assert done.stderr.splitlines() == [
        "parley: what administrators set on the page is not shown: the server is not running"
    ]


def test_every_verb_has_a_module(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    verbs = re.findall(r"^    ([a-z-]+)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
    assert {"up", "sfu", "nginx-config", "models"} <= set(verbs)
    for verb in verbs:
        assert importlib.util.find_spec(f"parley.{verb.replace('-', '_')}_command"), verb


def test_the_command_itself_loads_no_part() -> None:
    """It reads its flags at once, and a part loads no code of others."""
    code = "import sys, parley.cli; print(*sorted({'aiohttp', 'jinja2', 'quart', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
