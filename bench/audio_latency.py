"""How long audio waits while a keyframe of 60 packets goes to 500 subscribers: p99 of the added latency.

A thread sends the keyframes, and audio at random moments meanwhile; the engine forwards under its 2 ms budget. Added
latency is from the kernel's receive time at our socket to that at a subscriber's; those looked at are served last.
"""

import random
import socket
import statistics
import struct
import threading
import time
from dataclasses import dataclass

import pylibsrtp

from bench.engine import EXTENSIONS
from bench.report import Report, progress
from sfu.engine import create_engine
from sfu.engine.contract import Engine, Payload, PeerEntry, RouteEntry, RouteSource, SrtpKeys, SrtpProfile, StreamEntry
from sfu.engine.pump import Pump
from sfu.engine.sockets import Sockets
from sfu.formats import rtp
from sfu.formats.codecs import Codec

SUBSCRIBERS = 500
OBSERVED = 8
KEYFRAME_PACKETS = 60
BAR_MS = 3.0
_PROFILE = SrtpProfile.AEAD_AES_128_GCM
_SO_TIMESTAMPNS = 35
_VIDEO, _AUDIO = 11, 31


@dataclass(frozen=True, slots=True)
class Stage:
    """The engine's side, what publishes to it, and the far ends that are looked at."""

    engine: Engine
    pump: Pump
    publisher: socket.socket
    srtp: pylibsrtp.Session
    observed: list[socket.socket]


def run(*, quick: bool) -> Report:
    """Measure over 60 keyframes (15 when quick), 10 audio packets each."""
    sockets = Sockets(["127.0.0.1"], 0)
    stage = _build(sockets)
    latencies: list[float] = []
    for number in progress(range(15 if quick else 60), "audio latency"):
        latencies += _keyframe(stage, number)
    for entry in (stage.publisher, *stage.observed):
        entry.close()
    sockets.close()
    report = Report()
    case = f"{stage.engine.name}, audio while {KEYFRAME_PACKETS} packets go to {SUBSCRIBERS}"
    report.add(case, "added latency, median", statistics.median(latencies), "ms")
    report.at_most(case, "added latency, p99", statistics.quantiles(latencies, n=100)[98], "ms", BAR_MS)
    return report


def _build(sockets: Sockets) -> Stage:
    dice = random.Random(1)
    engine = create_engine()
    publisher = _socket()
    publisher.connect(sockets.addresses[0])
    observed = [_socket() for _ in range(OBSERVED)]
    blackhole = _socket()
    key = dice.randbytes(28)
    engine.set_peer(PeerEntry(0))
    engine.set_keys(0, SrtpKeys(_PROFILE, key, dice.randbytes(28)))
    engine.admit_source(0, publisher.getsockname(), 0)
    engine.add_stream(StreamEntry(1, 0, _VIDEO, {96: Payload(Codec.VP8, 90_000)}))
    engine.add_stream(StreamEntry(2, 0, _AUDIO, {111: Payload(Codec.OPUS, 48_000)}))
    for peer in range(1, SUBSCRIBERS + 1):
        last = SUBSCRIBERS - peer
        far = observed[last] if last < OBSERVED else blackhole
        engine.set_peer(PeerEntry(peer, send_extensions=EXTENSIONS))
        engine.set_keys(peer, SrtpKeys(_PROFILE, dice.randbytes(28), dice.randbytes(28)))
        engine.set_address(peer, far.getsockname(), 0)
        engine.set_route(RouteEntry(peer, peer, peer, {96: 96}, 7, 0, 10_000 + peer, {96: 97}, "0"))
        engine.set_route(RouteEntry(1000 + peer, peer, 1000 + peer, {111: 111}, 7, mid="1", is_audio=True))
        engine.switch_route(peer, RouteSource(1))
        engine.switch_route(1000 + peer, RouteSource(2, at_keyframe=False))
    policy = pylibsrtp.Policy(key=key, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND, srtp_profile=int(_PROFILE))
    return Stage(engine, Pump(engine, sockets), publisher, pylibsrtp.Session(policy), observed)


def _socket() -> socket.socket:
    entry = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    entry.bind(("127.0.0.1", 0))
    entry.setblocking(False)
    entry.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    entry.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return entry


def _keyframe(stage: Stage, number: int) -> list[float]:
    """Send one keyframe and ten audio packets in its midst; return the added latencies in milliseconds."""
    video = [_video(stage, number, part) for part in range(KEYFRAME_PACKETS)]
    audio = [_protect(stage, rtp.RtpPacket(111, 10 * number + k, 960 * k, _AUDIO, bytes(80))) for k in range(10)]
    sender = threading.Thread(target=_send, args=(stage.publisher, video, audio))
    sender.start()
    arrivals: list[int] = []
    while sender.is_alive() or stage.pump.backlog:
        result = stage.pump.receive_and_forward(time.monotonic_ns())
        arrivals += [arrival.arrival for arrival in result.arrivals if arrival.stream == 2]
    sender.join()
    result = stage.pump.receive_and_forward(time.monotonic_ns())
    arrivals += [arrival.arrival for arrival in result.arrivals if arrival.stream == 2]
    offset = time.monotonic_ns() - time.time_ns()
    latencies = []
    for far in stage.observed:
        times = [at + offset for at, data in _received(far) if data[1] & 0x7F == 111]
        latencies += [(out - into) / 1e6 for into, out in zip(arrivals, times, strict=True)]
    return latencies


def _send(publisher: socket.socket, video: list[bytes], audio: list[bytes]) -> None:
    for data in video:
        publisher.send(data)
    for data in audio:
        time.sleep(random.uniform(0, 0.004))
        publisher.send(data)


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
    """Return (kernel receive time on the wall clock, datagram) of all that waits."""
    received = []
    while True:
        try:
            data, ancillary, _, _ = far.recvmsg(2048, 64)
        except BlockingIOError:
            return received
        seconds, nanoseconds = struct.unpack("@qq", ancillary[0][2])
        received.append((seconds * 1_000_000_000 + nanoseconds, data))
