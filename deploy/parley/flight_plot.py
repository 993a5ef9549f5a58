"""Plots of a replayed flight recording, per participant: estimate, granted rate, link capacity if known, and delay."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sfu.flight.series import LinkSeries, Point

_MOST = 12
"""The maximum number of participants in a plot."""


def read_capacity(path: Path) -> list[Point]:
    """Read lines of two numbers: seconds on the recording's clock, and the bits/s from then on. Raises ValueError."""
    points = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            at, rate = (float(word) for word in words)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not two numbers") from error
        points.append((at, rate))
    return points


def write_plot(path: Path, links: Mapping[str, LinkSeries], capacity: Sequence[Point] = ()) -> None:
    """Write a PNG with two panels per participant, rates above and delay below. Raises ValueError."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        raise ValueError("a plot needs matplotlib: pip install 'parley-sfu[plots]'") from error

    shown = {who: link for who, link in sorted(links.items()) if link.replayed}
    if not shown:
        raise ValueError("the recording has no estimator from its start: nothing to plot")
    if len(shown) > _MOST:
        raise ValueError(f"{len(shown)} participants are too many for one plot: choose some with --who")
    begin = min(link.replayed[0][0] for link in shown.values())
    end = max(link.replayed[-1][0] for link in shown.values())
    figure = Figure(figsize=(10, 4.2 * len(shown)), layout="constrained")
    panels = figure.subplots(2 * len(shown), 1, sharex=True, squeeze=False, height_ratios=[3, 1] * len(shown))[:, 0]
    for place, (who, link) in enumerate(shown.items()):
        rates, delay = panels[2 * place], panels[2 * place + 1]
        curves = [("granted", "#2e9d63", link.allocated), ("estimate", "#2463b0", link.replayed)]
        if link.recorded != link.replayed:
            curves.append(("estimate as recorded", "#9db7d8", link.recorded))
        if capacity:
            curves.append(("capacity", "#333333", _until(capacity, begin, end)))
        for name, colour, points in curves:
            seconds, values = [at - begin for at, _ in points], [rate / 1e6 for _, rate in points]
            rates.step(seconds, values, where="post", label=name, color=colour, linewidth=1.2)
        rates.set_title(who, loc="left", fontsize=10)
        rates.set_ylabel("Mbit/s")
        rates.set_ylim(bottom=0)
        rates.legend(loc="upper right", fontsize=8)
        delay.plot([at - begin for at, _ in link.delay], [ms for _, ms in link.delay], color="#c8453b", linewidth=0.8)
        delay.set_ylabel("queue (ms)")
        delay.set_ylim(bottom=0)
    panels[-1].set_xlabel("seconds")
    figure.savefig(path, format="png", dpi=110)


def _until(capacity: Sequence[Point], begin: float, end: float) -> list[Point]:
    """Return the part of a curve between two times, with its values at both."""
    before = [rate for at, rate in capacity if at <= begin]
    inside = [(at, rate) for at, rate in capacity if begin < at < end]
    points = [(begin, before[-1])] if before else []
    points += inside
    return [*points, (end, points[-1][1])] if points else []
