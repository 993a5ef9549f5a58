"""The end of a test run lists each test that was run again, and each skipped one with its reason."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

tries = []

@pytest.mark.flaky(reruns=1)
def test_second_try():
    tries.append(1)
    assert len(tries) == 2

def test_no_disk():
    pytest.skip("no file system can be mounted here")
"""


def test_reruns_and_skips_are_named(tmp_path: Path) -> None:
    file = tmp_path / "test_flaky.py"
    file.write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("RERUN") and "test_second_try" in line for line in lines), done.stdout
    assert any("no file system can be mounted here" in line for line in lines), done.stdout
