"""The dashboards, decoded by Grafana's own types: no unknown, missing or mistyped field."""

import subprocess
from pathlib import Path

from tests.support.real_programs import found

DASHBOARDS = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"


def checked(*paths: Path) -> str:
    """Return the complaints about dashboards; "" without any."""
    program = found("dashboards")
    assert program is not None, "run `make real` first"
    done = subprocess.run([program, *paths], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def test_dashboards_are_what_grafana_expects() -> None:
    assert checked(*sorted(DASHBOARDS.glob("*.json"))) == ""


def test_a_wrong_field_is_found(tmp_path: Path) -> None:
    broken = tmp_path / "overview.json"
    broken.write_text((DASHBOARDS / "overview.json").read_text().replace("legendFormat", "legend"))
    assert "unexpected field 'legend'" in checked(broken)
