"""`python -m bench NAME`: runs one benchmark; `python -m bench all` runs every one and prints one table of all bars."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from bench.report import Report, print_table, write_json, write_plot

NAMES = {
    "audio_latency": "how long audio waits while a large keyframe goes to 500 subscribers",
    "engine": "CPU per sent packet of each engine, and of a floor program that does the least possible",
    "load": "real peers at a real sfu: CPU, latency, loss, memory; the largest rooms",
    "join": "joins per second, and how soon a newcomer has its first packet",
    "soak": "memory and descriptors over a long time of joins, leaves and switches",
    "observation": "what a scrape of /metrics and tracing cost",
    "peers": "SRTP load over plain transports at every SFU here: ours, mediasoup",
    "first_frame": "join click to the first decoded remote frame in Chromium",
    "caption_accuracy": "word error rate of captions in Chromium's call, and of the recogniser in noise",
    "caption_voices": "word error rate of further voices and languages: in noise, through loss, over another voice",
    "caption_invention": "words made of silence, music, typing and noise, and speech missed",
    "caption_language": "languages of utterances through a switch from English to Spanish",
    "caption_latency": "how late captions are while four people talk at once",
    "triton_batching": "what dynamic batching gains on Triton",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit code is 1 when a bar does not hold."""
    shown = "\n".join(f"  {name:<16} {meaning}" for name, meaning in NAMES.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"benchmarks:\n{shown}\n  {'all':<16} every one of them",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*NAMES, "all"], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: ends within 40 s, figures are rougher")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON (- for standard output)")
    parser.add_argument("--plot", metavar="FILE", help="write the rows as a PNG plot")
    parser.add_argument("--minutes", type=float, help="how long soak takes (60; half a minute when quick)")
    chosen = parser.parse_args(arguments)
    names = list(NAMES) if chosen.name == "all" else [chosen.name]
    reports = [_run(name, quick=chosen.quick, minutes=chosen.minutes) for name in names]
    rows = [row for report in reports for row in report.rows]
    print_table(rows)
    if chosen.json:
        write_json(chosen.json, rows)
    if chosen.plot:
        write_plot(chosen.plot, rows)
    return 0 if all(row.holds is not False for row in rows) else 1


def _run(name: str, *, quick: bool, minutes: float | None) -> Report:
    module = importlib.import_module(f"bench.{name}")
    lasting = {"minutes": minutes} if name == "soak" else {}
    report: Report = module.run(quick=quick, **lasting)
    return report


if __name__ == "__main__":
    sys.exit(main())
