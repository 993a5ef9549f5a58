"""`python -m bench NAME`: runs one benchmark; `python -m bench all` runs every one and prints one table of all bars."""

import argparse
import ast
import importlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.report import Report, Row, print_table, read_json, write_json, write_plot

NAMES = {
    "audio_latency": "how long audio waits while a large keyframe goes to 500 subscribers",
    "engine": "CPU per sent packet of each engine, and of a floor program that does the least possible",
    "load": "real peers at a real sfu: CPU, latency, loss, memory; the largest rooms",
    "rooms": "ordinary meetings: many rooms in which everybody publishes; overload, and pauses of the sfu",
    "cascade": "a room on two workers: one copy of each track between them, and what it costs",
    "join": "joins per second, and how soon a newcomer has its first packet",
    "soak": "memory and descriptors over a long time of joins, leaves and switches",
    "observation": "what a scrape of /metrics and tracing cost",
    "peers": "SRTP load over plain transports at every SFU here: ours, mediasoup",
    "network": "the bars over emulated links: loss, capacity, crowds, layer switches, coming back",
    "first_frame": "join click to the first decoded remote frame in Chromium",
    "caption_accuracy": "word error rate of captions in Chromium's call, and of the recogniser in noise",
    "caption_voices": "word error rate of further voices and languages: in noise, through loss, over another voice",
    "caption_invention": "words made of silence, music, typing and noise, and speech missed",
    "caption_language": "languages of utterances through a switch from English to Spanish",
    "tap_cost": "what tapping 100 tracks costs the sfu, and what a frozen or killed sink does to the call",
    "caption_latency": "how late captions are while four people talk at once",
    "control_load": "requests a second of control on one core: lists of meetings from PostgreSQL",
    "control_scale": "lists, searches and deletions of control over 100,000 meetings",
    "moderation": "how soon what a host asks by REST has taken effect in the live room",
    "failover": "how long a call is without media when its node is killed, cut off, or stopped",
    "transfers": "50 files of 100 MB at once, and slow ones: memory of control, contents",
    "faults": "events through restarts of every server: none lost, none out of order",
    "triton_batching": "what dynamic batching gains on Triton",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit code is 1 when a bar does not hold, 2 when something could not be measured."""
    arguments = sys.argv[1:] if arguments is None else arguments
    chosen = _parser(arguments).parse_args(arguments)
    failed: list[str] = []
    if chosen.name == "all":
        rows, failed = _run_all(quick=chosen.quick, minutes=chosen.minutes)
        print_table(row for row in rows if row.bar)
        for name in failed:
            print(f"{name}: not measured, see above")
    else:
        rows = _run(chosen).rows
        print_table(rows)
    if chosen.json:
        write_json(chosen.json, rows)
    if chosen.plot:
        write_plot(chosen.plot, rows)
    return 2 if failed else 0 if all(row.holds is not False for row in rows) else 1


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """`--help` beside a name tells what that benchmark measures, and how."""
    shown = "\n".join(f"  {name:<18} {meaning}" for name, meaning in NAMES.items())
    about = next((_about(name) for name in arguments if name in NAMES), "")
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=about or f"benchmarks:\n{shown}\n  {'all':<18} every one of them: one table of all bars",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*NAMES, "all"], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: ends within 40 s, figures are rougher")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON (- for standard output)")
    parser.add_argument("--plot", metavar="FILE", help="write the rows as a PNG plot")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="what caption_voices keeps of a run, to go on with after it was cut off",
    )
    parser.add_argument("--minutes", type=float, help="how long soak (60) or caption_latency (5) takes")
    rooms = parser.add_argument_group("rooms")
    rooms.add_argument(
        "--shape", action="append", default=[], metavar="RxN", help="R rooms of N people, as 100x4 (repeatable)"
    )
    rooms.add_argument("--seconds", type=float, default=None, help="how long a round measures (20, quick: 5)")
    rooms.add_argument(
        "--rounds", type=int, default=None, help="sfus started afresh, whose median is told (5, quick: 1)"
    )
    rooms.add_argument("--overload", type=float, default=1.0, metavar="X", help="X times the load, for a minute")
    rooms.add_argument(
        "--pause", type=float, default=0.0, metavar="SECONDS", help="stop the sfu for so long, ten times"
    )
    rooms.add_argument("--publishers", type=int, default=sys.maxsize, metavar="N", help="so many in each room publish")
    rooms.add_argument("--workers", type=int, default=1, metavar="N", help="sfus, each on a core of its own")
    rooms.add_argument("--own-ports", action="store_true", help="workers have a UDP port each, not one together")
    rooms.add_argument("--rest", action="store_true", help="layers that nobody watches rest")
    rooms.add_argument(
        "--beside", action="append", default=[], choices=["livekit"], help="another server, round by round in turn"
    )
    return parser


def _about(name: str) -> str:
    """Return a benchmark's docstring, without importing what it needs."""
    source = (Path(__file__).parent / f"{name}.py").read_text()
    return ast.get_docstring(ast.parse(source)) or ""


def _run(chosen: argparse.Namespace) -> Report:
    module = importlib.import_module(f"bench.{chosen.name}")
    lasting: dict[str, object] = {"minutes": chosen.minutes}
    own = {"soak": lasting, "caption_latency": lasting, "caption_voices": {"keep": chosen.keep}}
    more = {"options": module.Options.of(chosen)} if hasattr(module, "Options") else own.get(chosen.name, {})
    report: Report = module.run(quick=chosen.quick, **more)
    return report


def _run_all(*, quick: bool, minutes: float | None) -> tuple[list[Row], list[str]]:
    """Run each in a process of its own: one that fails, for want of a browser for example, costs no other its rows."""
    rows: list[Row] = []
    failed: list[str] = []
    flags = ["--quick"] if quick else []
    lasting = ["--minutes", str(minutes)] if minutes is not None else []
    with tempfile.TemporaryDirectory() as folder:
        for name, meaning in NAMES.items():
            path = Path(folder) / f"{name}.json"
            print(f"— {name}: {meaning}", file=sys.stderr)
            more = lasting if name == "soak" else []
            command = [sys.executable, "-m", "bench", name, "--json", str(path), *flags, *more]
            _run_apart(command)
            if path.exists():
                rows += read_json(path)
            else:
                failed.append(name)
    return rows, failed


def _run_apart(command: Sequence[str]) -> None:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            process.wait()
        finally:
            process.terminate()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever is cut off stops its servers first
    sys.exit(main())
