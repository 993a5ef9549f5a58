"""A server's CPU time by source, from samples of its stacks by perf and, for Python, py-spy, if they are installed.

Both are optional: without perf nothing is reported, without py-spy all of Python is one source. Both slow the server
down a little, so they sample it separately, after the measurement.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_SAMPLES_PER_SECOND = 499
_PYTHON_SAMPLES_PER_SECOND = 200
_COLLECTS = re.compile(r"gc_|_traverse|traverse$|visit_(decref|reachable)|subtract_refs|deduce_unreachable|untrack")
_LINE = re.compile(r"^\s*[0-9a-f]+ (?P<symbol>.+?) \((?P<object>[^()]+)\)$")
_MECHANISM = ("engine/pump.py", "engine/sockets.py", "asyncio/runners.py")
"""Callers of the engine, of the kernel, and of libuv, innermost of the stacks that Python sees."""
_PYTHON_SOURCES = (
    ("signaling", ("server/signaling", "server/websocket", "api/signaling", "rooms/signaling_dispatch", "aiohttp")),
    ("feedback and repair", ("machines/congestion", "machines/repair", "engine/send_side", "formats/rtcp")),
    ("arrivals of packets", ("rooms/incoming", "peers/publish", "machines/audio_levels")),
    ("timers", ("rooms/settling", "peers/coalescing", "machines/ice", "machines/dtls", "peers/peer.py")),
    (
        "layers and bandwidth",
        ("rooms/adapt", "rooms/spared_sounds", "machines/layers", "peers/layers", "peers/subscribe"),
    ),
)


def cpu_sources(pid: int, seconds: float) -> dict[str, float]:
    """Return the shares of the process's CPU time by source; empty without perf."""
    perf = shutil.which("perf")
    if perf is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        recorded = Path(folder) / "perf.data"
        sampling = [perf, "record", "-q", "-e", "cpu-clock", "-F", str(_SAMPLES_PER_SECOND), "-p", str(pid)]
        _run([*sampling, "-o", str(recorded), "--", "sleep", str(seconds)])
        text = _run([perf, "script", "-i", str(recorded), "-F", "ip,sym,dso"])
        python = _python_stacks(pid, seconds, Path(folder) / "stacks")
    return combined(leaves(text.splitlines()), stacks(python.splitlines()))


def leaves(lines: Iterable[str]) -> Counter[str]:
    """Count the samples of `perf script` by source."""
    found: Counter[str] = Counter()
    for line in lines:
        match = _LINE.match(line)
        if match is not None:
            found[_source(match["symbol"], match["object"])] += 1
    return found


def _source(symbol: str, where: str) -> str:
    name = where.rsplit("/", 1)[-1]
    if where.startswith("[kernel") or where.endswith(".ko"):
        return "kernel"
    if name.startswith("compiled."):
        return "engine"
    if name.startswith("libcrypto"):
        return "cipher"
    if name.startswith(("python", "libpython")):
        return "garbage collection" if _COLLECTS.search(symbol) else "Python"
    return "other native code"


def stacks(lines: Iterable[str]) -> Counter[str]:
    """Count py-spy's stacks (frames from the outermost on, then how often) by source; those of _MECHANISM are none."""
    found: Counter[str] = Counter()
    for line in lines:
        frames, _, count = line.rpartition(" ")
        inner = list(reversed(frames.split(";")))
        if count.isdecimal() and not any(name in inner[0] for name in _MECHANISM):
            found[_python_source(inner)] += int(count)
    return found


def _python_source(inner: Iterable[str]) -> str:
    """Return the source of the innermost frame that tells of one; all of them are within a turn of the loop."""
    for frame in inner:
        for source, names in _PYTHON_SOURCES:
            if any(name in frame for name in names):
                return source
    return "turns of the loop, and the rest"


def combined(native: Counter[str], python: Counter[str]) -> dict[str, float]:
    """Return shares of all; Python is split as its stacks are."""
    every = max(sum(native.values()), 1)
    shares = {source: count / every for source, count in native.items() if source != "Python"}
    of_python = native["Python"] / every
    told = sum(python.values())
    if told == 0:
        return shares | ({"Python": of_python} if of_python else {})
    return shares | {f"Python: {source}": of_python * count / told for source, count in python.items()}


def _python_stacks(pid: int, seconds: float, path: Path) -> str:
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        return ""
    rate = str(_PYTHON_SAMPLES_PER_SECOND)
    _run([program, "record", "-p", str(pid), "-d", f"{seconds:.0f}", "-r", rate, "-f", "raw", "-o", str(path)])
    return path.read_text() if path.exists() else ""


def _run(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode(errors="replace")
