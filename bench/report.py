"""Reports of benchmarks: rows with their bars, as a table, JSON or a plot."""

import contextlib
import json
import os
import platform
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_OVER_NOTHING = 3.0
"""The drawn length of a value whose bar is zero; longer ones would hide the others."""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure. `bar` is its limit ("<= 700"), empty for none; `holds`: it meets the bar."""

    case: str
    metric: str
    value: float
    unit: str
    bar: str = ""
    holds: bool | None = None


@dataclass(slots=True)
class Report:
    """The rows of one benchmark."""

    rows: list[Row] = field(default_factory=list)

    def add(self, case: str, metric: str, value: float, unit: str) -> None:
        """Add a figure without a bar."""
        self.rows.append(Row(case, metric, value, unit))

    def at_most(self, case: str, metric: str, value: float, unit: str, bar: float) -> None:
        """Add a figure that must not exceed its bar."""
        self.rows.append(Row(case, metric, value, unit, f"<= {bar:g}", value <= bar))

    def at_least(self, case: str, metric: str, value: float, unit: str, bar: float) -> None:
        """Add a figure that must reach its bar."""
        self.rows.append(Row(case, metric, value, unit, f">= {bar:g}", value >= bar))


def settled_interval(statistic: Callable[[Sequence[int]], float], count: int) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of `count` items, which gets indices, by resampling with a fixed seed."""
    dice = random.Random(7)
    values = sorted(statistic(dice.choices(range(count), k=count)) for _ in range(1000))
    return values[25], values[974]


def progress(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield the items while showing a progress bar on standard error."""
    for done, item in enumerate(items):
        show_progress(what, done / len(items), f"{done}/{len(items)}")
        yield item
    show_progress(what, 1.0, f"{len(items)}/{len(items)}")
    end_progress()


def show_progress(what: str, share: float, text: str = "") -> None:
    """Draw a progress bar on standard error, over the previous one."""
    filled = int(30 * min(share, 1.0))
    text = text or f"{100 * min(share, 1.0):.0f} %"
    print(f"\r{what:<28} [{'#' * filled}{'.' * (30 - filled)}] {text}", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def passing(what: str, seconds: float) -> Iterator[None]:
    """Show a progress bar that follows the clock, for work of a known duration."""
    over = threading.Event()
    began = time.monotonic()

    def draw() -> None:
        while not over.wait(0.5):
            show_progress(what, (time.monotonic() - began) / seconds)

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        drawing.join()
    show_progress(what, 1.0)
    end_progress()


def note(text: str) -> None:
    """Print a line, replacing a progress bar."""
    print(f"\r{text:<79}", file=sys.stderr)


def end_progress() -> None:
    """End the line of the progress bar."""
    print(file=sys.stderr)


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows as a table, with bars and verdicts at the end of the line."""
    rows = list(rows)
    columns: list[Callable[[Row], str]] = [
        lambda r: r.case,
        lambda r: r.metric,
        _shown,
        lambda r: r.unit,
        lambda r: r.bar,
        lambda r: {None: "", True: "holds", False: "MISSED"}[r.holds],
    ]
    widths = [max((len(column(row)) for row in rows), default=0) for column in columns]
    for row in rows:
        print("  ".join(column(row).ljust(width) for column, width in zip(columns, widths, strict=True)).rstrip())


def _shown(row: Row) -> str:
    return f"{row.value:,.4g}" if abs(row.value) < 10_000 else f"{row.value:,.0f}"


def write_json(path: str, rows: Iterable[Row]) -> None:
    """Write the machine and the rows as JSON; "-" is standard output."""
    text = json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1)
    if path == "-":
        print(text)
    else:
        Path(path).write_text(text + "\n")


def read_json(path: Path) -> list[Row]:
    """Return the rows that `write_json` wrote."""
    return [Row(**row) for row in json.loads(path.read_text())["rows"]]


def machine() -> dict[str, str | int]:
    """Return a description of this machine."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next(
            (x.partition(":")[2].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x), model
        )
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def write_plot(path: str, rows: Iterable[Row]) -> None:
    """Write a PNG with a column per row, relative to its bar if it has one."""
    from matplotlib.figure import Figure  # noqa: PLC0415  only for plots

    rows = list(rows)
    figure = Figure(figsize=(9, 0.4 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row.case}: {row.metric} ({row.unit})" for row in rows]
    colours = [{None: "#7a869a", True: "#2e9d63", False: "#c8453b"}[row.holds] for row in rows]
    drawn = axes.barh(labels, [_share_of_bar(row) for row in rows], color=colours)
    axes.bar_label(drawn, [f"{_shown(row)} {row.bar}" for row in rows], padding=3, fontsize=7)
    axes.margins(x=0.2)
    axes.axvline(1.0, color="#333333", linewidth=0.8)
    axes.set_xlabel("value ÷ bar (rows without a bar: 1)")
    axes.invert_yaxis()
    figure.savefig(path, format="png", dpi=110)


def _share_of_bar(row: Row) -> float:
    if not row.bar:
        return 1.0
    bar = float(row.bar.split()[-1])
    if not bar:
        return 1.0 if row.holds else _OVER_NOTHING
    return min(row.value / bar, _OVER_NOTHING)
