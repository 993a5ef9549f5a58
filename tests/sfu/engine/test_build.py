"""The build of the compiled engine at installation: if it cannot be compiled, the installation continues without it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
BUILD = ["-c", "from setuptools import setup; setup()", "-q", "build_ext", "--inplace"]


def test_without_a_compiler_there_is_a_warning_and_nothing_else(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    built = shutil.ignore_patterns("*.so", "compiled.c", "__pycache__")
    shutil.copytree(ROOT / "sfu" / "engine", tmp_path / "sfu" / "engine", ignore=built)
    environment = os.environ | {"CC": str(tmp_path / "no-compiler")}
    done = subprocess.run(
        [sys.executable, *BUILD],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "no-compiler" in done.stdout
    assert (tmp_path / "sfu" / "engine" / "compiled.c").exists()
    assert not list(tmp_path.rglob("*.so"))


def test_a_module_that_differs_from_the_rest_is_not_used() -> None:
    older = (
        "from sfu.machines.congestion import overuse\n"
        "overuse.TREND_POINTS = 10\n"
        "from sfu.engine import available_engines, create_engine, engine_notice\n"
        "print(available_engines(), engine_notice(create_engine()))\n"
    )
    said = subprocess.run([sys.executable, "-c", older], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith("['python']")
    assert "overuse.TREND_POINTS" in said
