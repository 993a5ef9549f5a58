"""What `python -m bench` writes: the JSON that is promised, a plot, and verdicts."""

import json
from pathlib import Path

import pytest

from bench.__main__ import NAMES, main
from bench.report import Report, read_json, write_json, write_plot


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
