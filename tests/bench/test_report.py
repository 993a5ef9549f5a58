"""Output of `python -m bench`: the promised JSON, a plot, and verdicts."""

import ast
import json
from pathlib import Path

import pytest

from bench.__main__ import NAMES, main
from bench.report import Report, note, passing, read_json, write_json, write_plot

ROOT = Path(__file__).parents[2]


def report() -> Report:
    made = Report()
    made.at_most("a case", "CPU", 40.0, "%", 30.0)
    made.at_least("a case", "rate", 800_000.0, "1/s", 700_000.0)
    made.add("a case", "memory", 12.5, "MiB")
    made.at_most("a case", "loss", 0.5, "%", 0.0)
    return made


def test_rows_say_whether_their_bars_hold(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    write_json(str(path), report().rows)
    document = json.loads(path.read_text())
    assert {"cpu", "cores"} <= document["machine"].keys()
    assert [row["holds"] for row in document["rows"]] == [False, True, None, False]
    assert document["rows"][0].keys() == {"case", "metric", "value", "unit", "bar", "holds"}
    assert read_json(path) == report().rows


def test_the_plot_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "rows.png"
    write_plot(str(path), report().rows)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", NAMES)
def test_help_tells_what_a_benchmark_measures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert "--quick" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_each_shows_how_far_it_is(name: str) -> None:
    source = (ROOT / "bench" / f"{name}.py").read_text()
    called = {
        node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"progress", "show_progress", "passing"}


def test_a_bar_ends_when_its_time_is_over_and_notes_have_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    with passing("asking", 60.0):
        note("half of it")
    shown = capsys.readouterr().err
    assert "\rhalf of it" in shown
    assert shown.endswith(f"[{'#' * 30}] 100 %\n")
