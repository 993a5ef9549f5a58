"""CPU time per sent packet of each engine, and its ratio to the floor.

One publisher and N subscribers use real sockets on loopback; receivers accept segmented runs (UDP_GRO). The clock is
the thread's CPU time, including the kernel, from reading a frame to having sent it to everybody. `floor.c` does only
the same encryption and kernel calls, with the same sizes, in alternation with the engine, so the ratio is meaningful
even on a busy machine.
"""

import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pylibsrtp

from bench.report import Report, progress
from sfu.engine import available_engines, create_engine
from sfu.engine.contract import Payload, PeerEntry, RouteEntry, RouteSource, SrtpKeys, SrtpProfile, StreamEntry
from sfu.engine.pump import Pump
from sfu.engine.sockets import Sockets
from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension

RECORDED = Path(__file__).parent / "fixtures" / "recorded_frames.json"
PROFILES = {"gcm": SrtpProfile.AEAD_AES_128_GCM, "cm": SrtpProfile.AES128_CM_HMAC_SHA1_80}
KEY_BYTES = {"gcm": 28, "cm": 30}
EXTENSIONS = {Extension.MID: 1, Extension.ABS_SEND_TIME: 2, Extension.TRANSPORT_SEQ: 3}
_OVERHEAD = 12 + 8  # the publisher's header and its transport-wide seq
_TARGET_PACKETS = {False: 60_000, True: 20_000}

Frames = list[list[int]]
"""Sizes in bytes of the protected packets of each frame."""


@dataclass(frozen=True, slots=True)
class Case:
    subscribers: int
    shape: str
    cipher: str
    engine: str

    @property
    def name(self) -> str:
        return f"{self.engine} 1 → {self.subscribers} {self.shape} {self.cipher}"


def shapes() -> dict[str, Frames]:
    """Return the shapes of traffic: uniform ones, and what browsers sent (sizes of a recorded call)."""
    uniform: dict[str, Frames] = {f"{count}-packet frames": [[1200] * count] for count in (4, 10)}
    uniform = {"lone packets": [[1200]], **uniform}
    if RECORDED.exists():
        recorded = msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Frames])
        uniform |= {f"{browser} sizes": recorded[browser] for browser in ("Chromium", "Firefox")}
    return uniform


def run(*, quick: bool) -> Report:
    """Measure; if `quick`, only the cases with a bar."""
    with floor_program() as floor:
        return _measure_all(floor, quick)


@contextmanager
def floor_program() -> Iterator[str]:
    """Compile the floor program; yield its path."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("bench: the floor program needs a C compiler (cc)")
    with tempfile.TemporaryDirectory() as folder:
        floor = f"{folder}/floor"
        source = Path(__file__).parent / "floor.c"
        subprocess.run([compiler, "-O2", "-o", floor, str(source), "-ldl"], check=True)
        yield floor


def _measure_all(floor: str, quick: bool) -> Report:
    report = Report()
    rounds = 3 if quick else 5
    known = shapes()
    costs: dict[Case, float] = {}
    for case in progress(_cases(known, quick), "engine"):
        target = _TARGET_PACKETS[quick] // (3 if case.engine == "python" else 1)
        with far_ends(floor, case.subscribers) as ports:
            frames = _repeat(known[case.shape], max(60, target // case.subscribers))
            pairs = [
                (measure_floor(floor, case.cipher, frames, ports), measure_engine(case, frames, ports))
                for _ in range(rounds)
            ]
        cost = statistics.median(own for _, own in pairs)
        costs[case] = cost
        ratio = statistics.median(own / least for least, own in pairs)
        report.add(case.name, "CPU per packet", cost, "µs")
        report.add(case.name, "floor", statistics.median(least for least, _ in pairs), "µs")
        bar = _ratio_bar(case)
        if bar is None:
            report.add(case.name, "÷ floor", ratio, "")
        else:
            report.at_most(case.name, "÷ floor", ratio, "", bar)
        if case.engine == "python" and case.subscribers == 100 and case.shape == "10-packet frames":
            report.at_least(case.name, "packets per CPU second", 1e6 / cost, "1/s", 150_000)
    _compare_sizes(report, costs)
    return report


def _cases(known: dict[str, Frames], quick: bool) -> list[Case]:
    engines = available_engines()
    everything = [
        Case(subscribers, shape, cipher, engine)
        for engine in engines
        for cipher in PROFILES
        for shape in known
        for subscribers in (1, 10, 100, 500, 1000)
    ]
    if not quick:
        return everything
    return [case for case in everything if case.cipher == "gcm" and _matters(case)]


def _matters(case: Case) -> bool:
    if case.engine == "python":
        return case.subscribers == 100 and case.shape == "10-packet frames"
    return case.subscribers == 100 or (case.subscribers in (10, 1000) and case.shape == "10-packet frames")


def _ratio_bar(case: Case) -> float | None:
    if case.engine != "compiled" or case.subscribers != 100 or case.cipher != "gcm" or case.shape == "4-packet frames":
        return None
    return 1.25 if case.shape == "lone packets" else 1.35


def _compare_sizes(report: Report, costs: dict[Case, float]) -> None:
    for case, cost in costs.items():
        smaller = costs.get(Case(10, case.shape, case.cipher, case.engine))
        if case.subscribers == 1000 and smaller is not None:
            name = f"{case.engine} {case.shape} {case.cipher}"
            if case.engine == "compiled" and case.shape == "10-packet frames" and case.cipher == "gcm":
                report.at_most(name, "1 → 1000 ÷ 1 → 10", cost / smaller, "", 1.15)
            else:
                report.add(name, "1 → 1000 ÷ 1 → 10", cost / smaller, "")


def _repeat(frames: Frames, packets: int) -> Frames:
    """Return frames in turn until they have that many packets."""
    chosen: Frames = []
    count = 0
    while count < packets:
        frame = frames[len(chosen) % len(frames)]
        chosen.append(frame)
        count += len(frame)
    return chosen


@contextmanager
def far_ends(floor: str, count: int, pause: int = 0) -> Iterator[list[int]]:
    """Run the receivers; yield their ports. With a pause (µs) they poll, so sending wakes nobody."""
    command = [floor, "drain", str(count), str(pause)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield [int(process.stdout.readline()) for _ in range(count)]
        process.stdin.close()
        process.wait(10)


def measure_floor(floor: str, cipher: str, frames: Frames, ports: Sequence[int]) -> float:
    """Return the floor's microseconds per packet."""
    lines = "".join(f"{len(frame)} {' '.join(map(str, frame))}\n" for frame in frames)
    answer = subprocess.run(
        [floor, "send", cipher, *map(str, ports)], input=lines, stdout=subprocess.PIPE, check=True, text=True
    )
    packets, spent = map(int, answer.stdout.split())
    return spent / packets / 1000


def measure_engine(case: Case, frames: Frames, ports: Sequence[int]) -> float:
    """Return an engine's microseconds per packet."""
    randoms = random.Random(1)
    profile, size = PROFILES[case.cipher], KEY_BYTES[case.cipher]
    engine = create_engine(case.engine)
    sockets = Sockets(["127.0.0.1"], 0)
    pump = Pump(engine, sockets)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as publisher:
        publisher.bind(("127.0.0.1", 0))
        publisher.connect(sockets.addresses[0])
        key = randoms.randbytes(size)
        engine.set_peer(PeerEntry(0, receive_extensions={3: Extension.TRANSPORT_SEQ}))
        engine.set_keys(0, SrtpKeys(profile, key, randoms.randbytes(size)))
        engine.admit_source(0, publisher.getsockname(), 0)
        engine.add_stream(StreamEntry(1, 0, 11, {96: Payload(Codec.VP8, 90_000)}))
        for peer, port in enumerate(ports, 1):
            engine.set_peer(PeerEntry(peer, send_extensions=EXTENSIONS))
            engine.set_keys(peer, SrtpKeys(profile, randoms.randbytes(size), randoms.randbytes(size)))
            engine.set_address(peer, ("127.0.0.1", port), 0)
            engine.set_route(RouteEntry(peer, peer, peer, {96: 96}, 7, 0, 10_000 + peer, {96: 97}, "0"))
            engine.switch_route(peer, RouteSource(1))
        protected = _protect(key, profile, frames)
        spent = 0
        for number, frame in enumerate(protected):
            for data in frame:
                publisher.send(data)
            before = time.thread_time_ns()
            pump.receive_and_forward(time.monotonic_ns())
            while pump.backlog:
                pump.receive_and_forward(time.monotonic_ns())
            # The first frame is the keyframe at which routes begin, and is not counted.
            spent += time.thread_time_ns() - before if number else 0
    packets = sum(map(len, frames)) * len(ports)
    sent = pump.counters["datagrams_out"]
    sockets.close()
    if sent != packets:
        raise RuntimeError(f"{case.name}: {sent} of {packets} packets were sent; drops {pump.drops}")
    return spent / (packets - len(frames[0]) * len(ports)) / 1000


def _protect(key: bytes, profile: SrtpProfile, frames: Frames) -> list[list[bytes]]:
    """Return the publisher's datagrams: VP8, the first frame a keyframe."""
    policy = pylibsrtp.Policy(key=key, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=int(profile))
    srtp = pylibsrtp.Session(policy)
    tag = 10 if profile is SrtpProfile.AES128_CM_HMAC_SHA1_80 else 16
    protected = []
    seq = 0
    for number, sizes in enumerate(frames):
        datagrams = []
        for part, size in enumerate(sizes):
            first = 0x90 if part == 0 else 0x80
            descriptor = bytes([first, 0xE0, 0x80 | number >> 8 & 0x7F, number & 0xFF, number & 0xFF, 0])
            body = bytes([0 if number == 0 else 1]) * (size - _OVERHEAD - tag - len(descriptor))
            packet = rtp.RtpPacket(
                96, seq & 0xFFFF, number * 3000, 11, descriptor + body, part == len(sizes) - 1,
                extensions=((3, (seq & 0xFFFF).to_bytes(2, "big")),),
            )  # fmt: skip
            datagrams.append(srtp.protect(rtp.serialize(packet)))
            seq += 1
        protected.append(datagrams)
    return protected
