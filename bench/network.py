"""Bars over emulated links with loss, delay and limited bandwidth (`make test-network`), and for a room of a hundred.

Each is a test that runs a real server, and real browsers or our client behind a link, in network namespaces of
this machine, which requires root. Here each runs with one seed, and its row shows its output; with `make test-network
SEEDS=5`, a bar must hold in four of five seeds. "Without" rows hold if the bar is missed with adaptation off, as it
must be.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.report import Report, progress

ROOT = Path(__file__).parents[1]
ELSEWHERE = ["tests/sfu/server/test_large_room.py"]
"""Bars that need no emulated link."""
QUICK = ["tests/network/bar_coming_back.py", "-k", "chromium"]
_MOST_TEXT = 110
_AGAIN = re.compile("R+")
_OUTCOME = re.compile(r"(?:[.FEsxX]+ *(?:\[ *\d+%\])?|=+ .*)")
"""A line that pytest itself prints once a test is over."""


def run(*, quick: bool) -> Report:
    """Run every bar (if quick, only those of a Chromium that reconnects)."""
    if os.geteuid():
        raise SystemExit("bench: emulated networks need root")
    everything = [*sorted(map(str, Path("tests/network").glob("bar_*.py"))), *ELSEWHERE]
    report = Report()
    for test in progress(_collected(QUICK if quick else everything), "network"):
        done = _pytest("-s", "--tb=no", test)
        report.at_least(case_of(test), figures_in(done.stdout), float(done.returncode == 0), "", 1.0)
    return report


def _collected(what: Sequence[str]) -> list[str]:
    listed = _pytest("--collect-only", *what).stdout.splitlines()
    return [line for line in listed if "::" in line]


def _pytest(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def case_of(test: str) -> str:
    """Return the title of a test: `bar_loss.py::test_five_percent[vp8]` is "loss: five percent (vp8)"."""
    path, _, name = test.partition("::")
    subject = Path(path).stem.removeprefix("bar_").removeprefix("test_")
    words = name.removeprefix("test_").replace("[", " (").replace("]", ")")
    return f"{subject}: {words}".replace("_", " ")


def figures_in(output: str) -> str:
    """Return the last line that a test printed, "" for none; `output` is from `pytest -s -q`."""
    said = ""
    for line in output.splitlines():
        if _OUTCOME.fullmatch(line):
            break
        if not _AGAIN.fullmatch(line):
            said = line.strip() or said
    return said if len(said) <= _MOST_TEXT else f"{said[: _MOST_TEXT - 1]}…"
