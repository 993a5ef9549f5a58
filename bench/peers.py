"""The same SRTP load on every installed SFU with plain RTP transports, including ours.

One publisher sends Chromium's recorded frames to 100 plain receivers. All servers run at once on the same core; the
client has the others. Rounds alternate between servers and cases, so that other load on the machine affects all
equally; an idle server costs nothing. Cases: one, two and four cameras at their ordinary rate, and as fast as all
receivers authenticate; each with receivers that accept segmented runs (UDP_GRO), and with receivers for which the
kernel splits them. Reported are CPU time per packet (of the forwarding process, including the kernel), packets per
second of a core, added latency and loss, with the minimum and maximum of all rounds.

mediasoup is looked for in $MEDIASOUP_DIR, a folder in which `npm install mediasoup` was run. It is measured with
liburing (its default), with liburing but without zero copy (for which the limit of locked memory may be too low), and
without liburing. Janus forwards to plain receivers without any state for them (rtp_forward), so it is not comparable
and has no adapter. LiveKit's server has no plain transports: `python -m bench rooms --shape 1x100 --publishers 1
--beside livekit` compares fan-out with it, `--shape 16x4` rooms.
"""

import asyncio
import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from bench.cores import pinned
from bench.light import plain
from bench.light.library import LightClient, Performance, TrackSettings
from bench.light.recording import evenly
from bench.light.stage import VIDEO_EVERY_NS, Track, Window, observe, recorded_frames, saturate
from bench.report import Report, progress
from bench.sfu_process import Missing, Process, SfuProcess, running_sfu
from sfu.api.plain_transport import Suite

SUITES: tuple[Suite, ...] = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80")
IN_FLIGHT = 96
_UDP_GRO = 104
_LEAD_NS = 20_000_000
MEDIASOUP_DIR = "MEDIASOUP_DIR"


class Forwarder(Protocol):
    """An SFU under load, with a transport for the publisher and one for each receiver."""

    @property
    def process(self) -> Process:
        """An SFU that forwards."""
        ...

    def publish(self, suite: Suite, key: bytes, ssrc: int) -> tuple[str, int]:
        """Accept a camera (VP8, payload type 96) protected with `key`; return where to send it."""
        ...

    def subscribe(self, suite: Suite, key: bytes, port: int) -> plain.Opened:
        """Send that camera to 127.0.0.1:`port`; `key` is the receiver's key for packets that it sends."""
        ...


@dataclass(frozen=True, slots=True)
class Parley:
    """Our sfu."""

    process: SfuProcess
    room: str = "peers"
    publisher: str = "p-publisher"

    def publish(self, suite: Suite, key: bytes, ssrc: int) -> tuple[str, int]:
        return plain.open_publisher(self.process, self.room, self.publisher, suite=suite, key=key, ssrc=ssrc)

    def subscribe(self, suite: Suite, key: bytes, port: int) -> plain.Opened:
        return plain.open_receiver(self.process, self.room, self.publisher, suite=suite, key=key, port=port)


class Mediasoup:
    """A worker of mediasoup, controlled through bench/mediasoup.mjs."""

    def __init__(self, driver: "subprocess.Popen[str]") -> None:
        self._driver = driver
        hello = self._read()
        self.process = Process(hello["pid"])

    def publish(self, suite: Suite, key: bytes, ssrc: int) -> tuple[str, int]:
        answer = self._ask(kind="publish", suite=suite, key=base64.b64encode(key).decode(), ssrc=ssrc)
        return "127.0.0.1", answer["port"]

    def subscribe(self, suite: Suite, key: bytes, port: int) -> plain.Opened:
        answer = self._ask(kind="subscribe", suite=suite, key=base64.b64encode(key).decode(), port=port)
        return plain.Opened("127.0.0.1", answer["port"], base64.b64decode(answer["key"]), answer["payloadType"])

    def _ask(self, **wish: Any) -> Any:
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps(wish) + "\n")
        self._driver.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._driver.stdout is not None
        line = self._driver.stdout.readline()
        if not line:
            raise Missing(f"mediasoup's worker (mediasoup-worker) does not start from {os.environ[MEDIASOUP_DIR]}")
        return json.loads(line)


@contextmanager
def parley() -> Iterator[Forwarder]:
    with running_sfu() as sfu:
        yield Parley(sfu)


@contextmanager
def mediasoup(*, uring: bool = True, zero_copy: bool = True) -> Iterator[Forwarder]:
    node, folder = shutil.which("node"), os.environ.get(MEDIASOUP_DIR, "")
    if node is None:
        raise Missing("node (Node.js)")
    if not (Path(folder) / "node_modules" / "mediasoup").is_dir() or not folder:
        raise Missing(f"mediasoup (npm install mediasoup, then {MEDIASOUP_DIR}=that folder)")
    script = Path(__file__).parent / "mediasoup.mjs"
    command = [node, str(script), str(Path(folder).absolute()), "uring" if uring else "plain"]
    if uring and not zero_copy:
        limited = shutil.which("prlimit")
        if limited is None:
            raise Missing("prlimit (util-linux)")
        command = [limited, "--memlock=65536", *command]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        try:
            yield Mediasoup(driver)
        finally:
            driver.terminate()


FORWARDERS: dict[str, Callable[[], AbstractContextManager[Forwarder]]] = {
    "Parley": parley,
    "mediasoup": mediasoup,
    "mediasoup without zero copy": partial(mediasoup, zero_copy=False),
    "mediasoup without liburing": partial(mediasoup, uring=False),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A load: a number of cameras at their ordinary rate, or 0 for as fast as possible."""

    cameras: int
    gro: bool

    def __str__(self) -> str:
        load = f"{self.cameras} camera{'s' if self.cameras > 1 else ''}" if self.cameras else "saturation"
        return f"{load}, {'with' if self.gro else 'without'} GRO"


@dataclass(slots=True)
class Rig:
    """A server with a separate client, whose receivers are ready."""

    forwarder: Forwarder
    client: LightClient
    tracks: list[Track]
    sockets: list[socket.socket]
    receivers: int

    async def measure(self, case: Case, seconds: float) -> Window:
        for entry in self.sockets:
            entry.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, int(case.gro))
        process = self.forwarder.process
        if not case.cameras:
            return await saturate(
                self.client, process, self.tracks[0], self.receivers, seconds=seconds, keep_in_flight=IN_FLIGHT
            )
        now = time.monotonic_ns() + _LEAD_NS
        track = self.tracks[0]
        # Several cameras are simulated by one with as many frames per second, because receivers have one stream each.
        every = VIDEO_EVERY_NS // case.cameras
        performance = Performance([track.source], evenly(track.frames, every), now)
        performing = asyncio.to_thread(self.client.perform, [performance], now + int(seconds * 1e9))
        return await observe(self.client, process, self.tracks, self.receivers, performing)


def run(*, quick: bool) -> Report:
    """Measure 1 → 100 on every installed SFU, and list the missing ones."""
    count, rounds, seconds = (30, 1, 1.0) if quick else (100, 5, 4.0)
    cases = [Case(cameras, gro) for cameras in (1, 2, 4, 0) for gro in (True, False)]
    suites = SUITES[:1] if quick else SUITES
    report = Report()
    for suite in suites:
        chosen = cases if suite == SUITES[0] else cases[-2:]
        asyncio.run(_measure(report, suite, chosen, count=count, rounds=rounds, seconds=seconds))
    return report


async def _measure(
    report: Report, suite: Suite, cases: Sequence[Case], *, count: int, rounds: int, seconds: float
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    found: dict[tuple[str, Case], list[Window]] = {}
    with ExitStack() as stack:
        rigs: dict[str, Rig] = {}
        for name, start in FORWARDERS.items():
            try:
                with pinned(cores[-1:]):
                    forwarder = stack.enter_context(start())
                rigs[name] = _rig(forwarder, suite, count)
            except Missing as missing:
                print(f"peers: {name} is not measured: it needs {missing}", file=sys.stderr)
        with pinned(cores[:-1] or cores):
            for rig in rigs.values():
                await rig.measure(Case(0, True), 1.0)
            turns = [(case, name) for _ in range(rounds) for case in cases for name in rigs]
            for case, name in progress(turns, f"peers, {suite}"):
                found.setdefault((name, case), []).append(await rigs[name].measure(case, seconds))
        for rig in rigs.values():
            rig.client.close()
    for (name, case), windows in found.items():
        _describe(report, f"{name}, 1 → {count}, {case}, {suite}", windows)


def _describe(report: Report, case: str, windows: Sequence[Window]) -> None:
    cost = sorted(1e6 / max(window.packets_per_cpu_second, 1e-9) for window in windows)
    report.add(case, "CPU per packet", median(cost), "µs")
    report.add(case, "… lowest", cost[0], "µs")
    report.add(case, "… highest", cost[-1], "µs")
    report.add(case, "packets", median(window.packets_per_second for window in windows), "1/s")
    report.add(case, "packets per CPU second", median(window.packets_per_cpu_second for window in windows), "1/s")
    report.add(case, "added latency, p50", median(window.latency(0.5) for window in windows), "ms")
    report.add(case, "added latency, p99", median(window.latency(0.99) for window in windows), "ms")
    report.add(case, "loss", median(window.loss for window in windows), "%")


def _rig(forwarder: Forwarder, suite: Suite, count: int) -> Rig:
    client = LightClient()
    source = _publish(client, forwarder, suite)
    sockets = [_subscribe(client, forwarder, suite) for _ in range(count)]
    return Rig(forwarder, client, [Track(source, False, recorded_frames())], sockets, count)


def _publish(client: LightClient, forwarder: Forwarder, suite: Suite) -> int:
    key, ssrc = secrets.token_bytes(plain.KEY_BYTES[suite]), secrets.randbits(31) | 1
    address = forwarder.publish(suite, key, ssrc)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry:
        entry.bind(("127.0.0.1", 0))
        entry.connect(address)
        peer = client.add(entry.detach(), plain.settings(suite, receive=key, send=key))
    track = TrackSettings(
        ssrc=ssrc,
        rtx_ssrc=0,
        payload_type=plain.PAYLOAD_TYPE,
        rtx_payload_type=0,
        is_video=True,
        mid="",
        mid_id=0,
        transport_seq_id=0,
        audio_level_id=0,
        clock_rate=90_000,
    )
    return client.track(peer, track)


def _subscribe(client: LightClient, forwarder: Forwarder, suite: Suite) -> socket.socket:
    """Add a receiver; return its socket, for which the client has another descriptor."""
    key = secrets.token_bytes(plain.KEY_BYTES[suite])
    entry = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    entry.bind(("127.0.0.1", 0))
    opened = forwarder.subscribe(suite, key, entry.getsockname()[1])
    entry.connect((opened.address, opened.port))
    settings = plain.settings(suite, receive=opened.key, send=key, payload_type=opened.payload_type)
    client.add(entry.dup().detach(), settings)
    return entry
