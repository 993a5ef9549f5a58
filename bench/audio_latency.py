"""Latency of audio while a keyframe of 60 packets is sent to 500 subscribers: p99 of the added latency.

A process sends the keyframes, and the audio of three speakers: three packets at random moments within 20 ms. The
engine forwards within its 2 ms budget, unpaced and paced. Added latency is the time from the kernel's receive time at
our socket to that at a subscriber's, so it includes no wake-ups; the measured subscribers are served last. Receivers
accept segmented runs (UDP_GRO) and are read occasionally, on cores other than the engine's. Run it on a quiet machine:
it also reports the time for which other processes used the engine's core, the p99 of audio that they did not delay, and
the time that a minimal program needs for sending 500 single datagrams in the same minute.
"""

import multiprocessing
import os
import random
import select
import socket
import statistics
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pylibsrtp

from bench.cores import pinned
from bench.engine import EXTENSIONS, far_ends, floor_program, measure_floor
from bench.report import Report, progress
from sfu.engine import create_engine
from sfu.engine.contract import Engine, Payload, PeerEntry, RouteEntry, RouteSource, SrtpKeys, SrtpProfile, StreamEntry
from sfu.engine.pump import Pump
from sfu.engine.sockets import Sockets
from sfu.formats import rtp
from sfu.formats.codecs import Codec

SUBSCRIBERS = 500
OBSERVED = 2
KEYFRAME_PACKETS = 60
AUDIO_PACKETS = 3
PACED_BITS = 4_500_000
BAR_MS = 3.0
_PROFILE = SrtpProfile.AEAD_AES_128_GCM
_SO_TIMESTAMPNS = 35
_VIDEO, _AUDIO = 11, 31
_DRAIN_PAUSE_US = 1000
_DISTURBED_NS = 50_000
_SPOKEN_S = 0.020
_AUDIO_BYTES = 108  # protected, as the publisher sends it
_SETTLED_NS = 20_000_000
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """The engine's side, its publisher, and the measured receivers."""

    engine: Engine
    pump: Pump
    filenos: Sequence[int]
    publisher: Connection
    srtp: pylibsrtp.Session
    observed: list[socket.socket]


class Wait(NamedTuple):
    """A round of the engine's thread, between two reads of the sockets, and the time for which others used its core."""

    began: int
    ended: int
    held: int


@dataclass(slots=True)
class Measured:
    """Added latencies in ms, those of audio that no other process delayed, and shares of time."""

    latencies: list[float] = field(default_factory=list)
    undisturbed: list[float] = field(default_factory=list)
    lost: int = 0
    stolen: int = 0
    elapsed: int = 0


def run(*, quick: bool) -> Report:
    """Measure over 200 keyframes (60 if quick), at once and paced."""
    report = Report()
    keyframes = 60 if quick else 200
    cores = sorted(os.sched_getaffinity(0))
    others = cores[1:] or cores
    with floor_program() as floor, pinned(others), far_ends(floor, SUBSCRIBERS - OBSERVED, _DRAIN_PAUSE_US) as ports:
        for paced in (False, True):
            sockets = Sockets(["127.0.0.1"], 0)
            with _stage(sockets, ports) as stage, pinned(cores[:1]):
                if paced:
                    for peer in range(1, SUBSCRIBERS + 1):
                        stage.engine.set_budget(peer, PACED_BITS)
                measured = Measured()
                for number in progress(range(keyframes), "audio, paced" if paced else "audio latency"):
                    _keyframe(stage, number, measured)
            sockets.close()
            _report(report, f"{stage.engine.name}, {'paced, ' if paced else ''}audio while a keyframe goes", measured)
        least = measure_floor(floor, "gcm", [[_AUDIO_BYTES]] * 40, ports)
        report.add("floor", f"{SUBSCRIBERS} lone datagrams", least * SUBSCRIBERS / 1000, "ms")
    return report


def _report(report: Report, start: str, measured: Measured) -> None:
    case = f"{start} to {SUBSCRIBERS}"
    report.add(case, "added latency, median", statistics.median(measured.latencies), "ms")
    report.at_most(case, "added latency, p99", _p99(measured.latencies), "ms", BAR_MS)
    if len(measured.undisturbed) > 10:
        report.add(case, "p99 of audio that no other process delayed", _p99(measured.undisturbed), "ms")
    report.add(case, "share of that audio", len(measured.undisturbed) / len(measured.latencies), "")
    report.add(case, "core used by others", measured.stolen / measured.elapsed, "")
    report.at_most(case, "audio lost", float(measured.lost), "", 0.0)


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


@contextmanager
def _stage(sockets: Sockets, ports: Sequence[int]) -> Iterator[Stage]:
    observed = [_socket() for _ in range(OBSERVED)]
    source = _socket()
    source.connect(sockets.addresses[0])
    dice = random.Random(1)
    key = dice.randbytes(28)
    here, there = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_publish, args=(there, source), daemon=True)
    process.start()
    policy = pylibsrtp.Policy(key=key, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=int(_PROFILE))
    engine = create_engine()
    _fill(engine, key, source.getsockname(), [*ports, *(entry.getsockname()[1] for entry in observed)], dice)
    try:
        yield Stage(engine, Pump(engine, sockets), sockets.filenos(), here, pylibsrtp.Session(policy), observed)
    finally:
        here.send(None)
        process.join()
        for entry in (source, *observed):
            entry.close()


def _fill(engine: Engine, key: bytes, source: tuple[str, int], ports: Sequence[int], dice: random.Random) -> None:
    engine.set_peer(PeerEntry(0))
    engine.set_keys(0, SrtpKeys(_PROFILE, key, dice.randbytes(28)))
    engine.admit_source(0, source, 0)
    engine.add_stream(StreamEntry(1, 0, _VIDEO, {96: Payload(Codec.VP8, 90_000)}))
    engine.add_stream(StreamEntry(2, 0, _AUDIO, {111: Payload(Codec.OPUS, 48_000)}))
    engine.add_sink_route(2, 0, 0)  # it records when each packet arrived
    for peer, port in enumerate(ports, 1):
        engine.set_peer(PeerEntry(peer, send_extensions=EXTENSIONS))
        engine.set_keys(peer, SrtpKeys(_PROFILE, dice.randbytes(28), dice.randbytes(28)))
        engine.set_address(peer, ("127.0.0.1", port), 0)
        engine.set_route(RouteEntry(peer, peer, peer, {96: 96}, 7, 0, 10_000 + peer, {96: 97}, "0"))
        engine.set_route(RouteEntry(1000 + peer, peer, 1000 + peer, {111: 111}, 7, mid="1", is_audio=True))
        engine.switch_route(peer, RouteSource(1))
        engine.switch_route(1000 + peer, RouteSource(2, at_keyframe=False))


def _socket() -> socket.socket:
    entry = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    entry.bind(("127.0.0.1", 0))
    entry.setblocking(False)
    entry.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    entry.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return entry


def _publish(orders: Connection, source: socket.socket) -> None:
    """Send on command, video at once and audio at random moments afterwards; runs in the publisher's process."""
    dice = random.Random(2)
    while (order := orders.recv()) is not None:
        video, audio = order
        for data in video:
            source.send(data)
        begun = time.monotonic()
        for data, moment in zip(audio, sorted(dice.uniform(0, _SPOKEN_S) for _ in audio), strict=True):
            time.sleep(max(0.0, begun + moment - time.monotonic()))
            source.send(data)
        orders.send(None)


def _keyframe(stage: Stage, number: int, measured: Measured) -> None:
    """Have a keyframe sent with audio during it; measure until everything is sent."""
    first = AUDIO_PACKETS * number
    video = [_video(stage, number, part) for part in range(KEYFRAME_PACKETS)]
    audio = [
        _protect(stage, rtp.RtpPacket(111, first + k, 960 * (first + k), _AUDIO, bytes(80)))
        for k in range(AUDIO_PACKETS)
    ]
    stage.publisher.send((video, audio))
    arrivals: list[int] = []
    waits: list[Wait] = []
    sent_at = 0
    begun = now = time.monotonic_ns()
    while not sent_at or stage.pump.backlog or stage.pump.next_release() is not None or now - sent_at < _SETTLED_NS:
        looked, held = now, _held_by_others()
        if not stage.pump.backlog:
            select.select([*stage.filenos, stage.publisher], [], [], _until_release(stage.pump))
        now = time.monotonic_ns()
        result = stage.pump.receive_and_forward(now)
        arrivals += [packet.arrival for packet in result.sink_packets]
        due = stage.pump.next_release()
        if due is not None and due <= time.monotonic_ns():
            stage.pump.release(time.monotonic_ns())
        waits.append(Wait(looked, time.monotonic_ns(), _held_by_others() - held))
        if not sent_at and stage.publisher.poll():
            stage.publisher.recv()
            sent_at = now
    measured.elapsed += now - begun
    measured.stolen += sum(wait.held for wait in waits)
    _note(stage, arrivals, waits, measured)


def _note(stage: Stage, arrivals: list[int], waits: list[Wait], measured: Measured) -> None:
    """Compare the kernel's times of arrival and of departure."""
    offset = time.monotonic_ns() - time.time_ns()
    for far in stage.observed:
        times = [at + offset for at, data in _received(far) if data[1] & 0x7F == 111]
        measured.lost += AUDIO_PACKETS - len(times)
        if len(times) != len(arrivals):
            continue
        for into, out in zip(arrivals, times, strict=True):
            held = sum(wait.held for wait in waits if wait.ended >= into and wait.began <= out)
            measured.latencies.append((out - into) / 1e6)
            if held < _DISTURBED_NS:
                measured.undisturbed.append((out - into) / 1e6)


def _until_release(pump: Pump) -> float:
    due = pump.next_release()
    return 0.001 if due is None else min(max(0, due - time.monotonic_ns()) / _SECOND, 0.001)


def _held_by_others() -> int:
    """Return the time (ns) for which this thread was ready but another ran; 0 if the kernel does not report it."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except FileNotFoundError:
        return 0


def _video(stage: Stage, number: int, part: int) -> bytes:
    descriptor = bytes([0x90 if part == 0 else 0x80, 0xE0, 0x80, number & 0x7F, number & 0xFF, 0])
    packet = rtp.RtpPacket(
        96,
        number * KEYFRAME_PACKETS + part,
        number * 3000,
        _VIDEO,
        descriptor + bytes(1150),
        part == KEYFRAME_PACKETS - 1,
    )
    return _protect(stage, packet)


def _protect(stage: Stage, packet: rtp.RtpPacket) -> bytes:
    return stage.srtp.protect(rtp.serialize(packet))


def _received(far: socket.socket) -> list[tuple[int, bytes]]:
    """Return (kernel receive time on the wall clock, datagram) of all waiting datagrams."""
    received = []
    while True:
        try:
            data, ancillary, _, _ = far.recvmsg(2048, 128)
        except BlockingIOError:
            return received
        times = [value for level, kind, value in ancillary if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS)]
        seconds, nanoseconds = struct.unpack("@qq", times[0])
        received.append((seconds * _SECOND + nanoseconds, data))
