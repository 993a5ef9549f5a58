"""Cost of taps for the sfu: 100 microphones alternately with and without taps; then with a frozen and a killed sink.

In rooms of five, everybody speaks and hears all others. The sink is a process that reads and discards data. Its own
cost is not counted; freezing or killing it must not affect the call.
"""

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.light.joining import Participant
from bench.light.stage import Stage, Window, stage
from bench.report import Report, progress, settled_interval
from sfu.api import signaling, sink_records
from sfu.api.sink_records import CaptionsAvailable, SinkHello
from sfu.formats.codecs import Codec

ROOM = 5
_ADDED = 5.0
_READER = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
while channel.recv(65536):
    pass
"""


@dataclass(slots=True)
class Sink:
    """A sink that a separate process reads; `say` sends messages on its behalf."""

    channel: socket.socket
    process: asyncio.subprocess.Process = field(repr=False)

    @classmethod
    async def attach(cls, path: Path) -> "Sink":
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        await asyncio.to_thread(channel.connect, str(path))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _READER, str(channel.fileno()), pass_fds=(channel.fileno(),)
        )
        sink = cls(channel, process)
        sink.say(SinkHello(sink="inference", instance="bench"))
        return sink

    def say(self, record: sink_records.AnyControl) -> None:
        self.channel.send(sink_records.encode(record))

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    async def close(self) -> None:
        self.channel.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def speakers(count: int, directory: Path) -> AsyncIterator[Stage]:
    """Join that many publishers of sound who consent to captions, in rooms of ROOM."""
    async with stage(runtime_dir=str(directory)) as here:
        for number in range(count):
            joined = Participant(here.client, here.sfu, f"bench-{number // ROOM}")
            await joined.join(publishes=True)
            here.participants.append(joined)
            here.add_tracks(await joined.publish(Codec.OPUS), Codec.OPUS)
            await joined.say(signaling.Consent(text="1", captions=True))
        await here.steady(ROOM - 1)
        yield here


async def _settled(here: Stage, seconds: float) -> Window:
    await here.measure(0.5, ROOM - 1)
    return await here.measure(seconds, ROOM - 1)


async def _measure(report: Report, count: int, rounds: int, seconds: float) -> None:
    case = f"{count} tapped tracks"
    with tempfile.TemporaryDirectory(prefix="parley-tap-") as scratch:
        async with speakers(count, Path(scratch)) as here:
            sink = await Sink.attach(Path(scratch) / "sinks.sock")
            pairs: list[dict[bool, Window]] = []
            for number in progress(range(rounds), "with and without taps"):
                pair: dict[bool, Window] = {}
                for available in (
                    number % 2 == 1,
                    number % 2 == 0,
                ):  # each comes first equally often, because the machine's speed drifts
                    sink.say(CaptionsAvailable(available=available))
                    pair[available] = await _settled(here, seconds)
                    taps = (await asyncio.to_thread(here.sfu.metrics))["parley_sfu_taps"]
                    if taps != (count if available else 0):
                        raise RuntimeError(f"there are {taps:.0f} taps instead of {count} or none")
                pairs.append(pair)
            sink.say(CaptionsAvailable(available=True))
            calm = await _settled(here, seconds)
            sink.signal(signal.SIGSTOP)
            frozen = await _settled(here, seconds)
            sink.signal(signal.SIGKILL)
            await sink.close()
            killed = await _settled(here, seconds)
    added = [pair[True].cpu - pair[False].cpu for pair in pairs]
    low, high = settled_interval(lambda chosen: statistics.median(added[index] for index in chosen), len(added))
    report.add(case, "CPU without taps", statistics.median(pair[False].cpu for pair in pairs), "% of a core")
    report.add(case, "CPU with taps", statistics.median(pair[True].cpu for pair in pairs), "% of a core")
    report.at_most(case, "added CPU, median of pairs", statistics.median(added), "% of a core", _ADDED)
    report.add(case, "95 % interval, from", low, "% of a core")
    report.add(case, "95 % interval, to", high, "% of a core")
    for name, window in (("calm", calm), ("sink frozen", frozen), ("sink killed", killed)):
        report.at_most(f"{case}, {name}", "loss", round(window.loss, 3), "%", 0.0)
        report.add(f"{case}, {name}", "added latency, p99", window.latency(0.99), "ms")
        report.add(f"{case}, {name}", "CPU", window.cpu, "% of a core")


def run(*, quick: bool) -> Report:
    """Measure twelve pairs of four seconds (if quick, one of two seconds with twenty tracks)."""
    report = Report()
    asyncio.run(_measure(report, 20, 1, 2.0) if quick else _measure(report, 100, 12, 4.0))
    return report
