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
    "audio_latency": "latency of audio while a large keyframe is sent to 500 subscribers",
    "engine": "CPU per sent packet of each engine, and of a floor program that does the minimum",
    "load": "real peers and a real sfu: CPU, latency, loss, memory; the largest rooms",
    "rooms": "ordinary meetings: many rooms in which everybody publishes; overload, and pauses of the sfu",
    "cascade": "a room on two workers: one copy of each track between them, and its cost",
    "join": "joins per second, and time to a newcomer's first packet",
    "soak": "memory and descriptors during a long run of joins, leaves and switches",
    "observation": "cost of a scrape of /metrics, and of tracing",
    "peers": "SRTP load over plain transports on every installed SFU: ours, mediasoup",
    "network": "the bars over emulated links: loss, capacity, crowds, layer switches, reconnection",
    "first_frame": "time from the click on Join to the first decoded remote frame in Chromium",
    "caption_accuracy": "word error rate of captions in Chromium's call, and of the recogniser in noise",
    "caption_voices": "word error rate of further voices and languages: in noise, with loss, over another voice",
    "caption_invention": "words invented from silence, music, typing and noise, and missed speech",
    "caption_language": "languages of utterances across a switch from English to Spanish",
    "tap_cost": "cost of tapping 100 tracks for the sfu, and effect of a frozen or killed sink on the call",
    "caption_latency": "latency of captions while four people talk at once",
    "control_load": "requests per second of control on one core: lists of meetings from PostgreSQL",
    "control_scale": "lists, searches and deletions of control over 100,000 meetings",
    "moderation": "time until a host's REST request takes effect in the live room",
    "failover": "time without media in a call whose node is killed, cut off, or stopped",
    "transfers": "50 files of 100 MB at once, and slow ones: memory of control, correct contents",
    "faults": "events through restarts of every server: none lost, none out of order",
    "triton_batching": "gain of dynamic batching on Triton",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen benchmarks; the exit code is 1 if a bar does not hold, 2 if something could not be measured."""
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
    """Return the parser; `--help` after a name shows what that benchmark measures, and how."""
    shown = "\n".join(f"  {name:<18} {meaning}" for name, meaning in NAMES.items())
    about = next((_about(name) for name in arguments if name in NAMES), "")
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=about or f"benchmarks:\n{shown}\n  {'all':<18} every one of them: one table of all bars",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*NAMES, "all"], metavar="NAME")
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions: ends within 40 s, with less exact figures"
    )
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON (- for standard output)")
    parser.add_argument("--plot", metavar="FILE", help="write the rows as a PNG plot")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="file in which caption_voices saves its results, to continue an interrupted run",
    )
    parser.add_argument("--minutes", type=float, help="duration of soak (60) or caption_latency (5)")
    rooms = parser.add_argument_group("rooms")
    rooms.add_argument(
        "--shape", action="append", default=[], metavar="RxN", help="R rooms of N people, as 100x4 (repeatable)"
    )
    rooms.add_argument("--seconds", type=float, default=None, help="duration of a round (20, quick: 5)")
    rooms.add_argument(
        "--rounds", type=int, default=None, help="number of sfus started, whose median is reported (5, quick: 1)"
    )
    rooms.add_argument(
        "--overload", type=float, default=1.0, metavar="X", help="X times the load, for a minute (quick: 15 s)"
    )
    rooms.add_argument(
        "--pause", type=float, default=0.0, metavar="SECONDS", help="stop the sfu for this time, ten times"
    )
    rooms.add_argument(
        "--publishers", type=int, default=sys.maxsize, metavar="N", help="number of publishers in each room"
    )
    rooms.add_argument(
        "--workers", type=int, default=1, metavar="N", help="number of sfu processes, each on its own core"
    )
    rooms.add_argument("--own-ports", action="store_true", help="give each worker its own UDP port")
    rooms.add_argument(
        "--taken",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the server's core that another program uses, 0 to 1",
    )
    rooms.add_argument("--rest", action="store_true", help="pause layers that nobody watches")
    rooms.add_argument(
        "--beside",
        action="append",
        default=[],
        choices=["livekit"],
        help="another server to measure in alternating rounds",
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
    """Run each in a separate process, so that one that fails, such as without a browser, does not affect the others."""
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an interrupted benchmark stops its servers first
    sys.exit(main())
