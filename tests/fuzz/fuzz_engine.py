"""Coverage-guided fuzzer of the compiled engine: `sh tests/fuzz/sanitize.sh fuzz SECONDS` builds and runs it.

An input is a small program: packets of an authenticated publisher, raw datagrams, NACKs, feedback to the publisher and
edits of the table. An input that reaches new blocks of the engine is added to the corpus (tests/fuzz/engine_corpus).
Memory errors end the process (AddressSanitizer). This program checks that only KeyError and ValueError are raised and
that no packet index protects two packets.
"""

import argparse
import contextlib
import ctypes
import hashlib
import random
import sys
import time
from pathlib import Path

from sfu.engine import create_engine
from sfu.engine.contract import (
    Datagram,
    Engine,
    Leftover,
    LeftoverKind,
    Outgoing,
    PeerEntry,
    RouteEntry,
    RouteSource,
    SrtpKeys,
    SrtpProfile,
    StreamEntry,
)
from sfu.engine.send_side_observer import SendSideObserver
from sfu.formats import rtp
from sfu.formats.extensions import Extension
from sfu.formats.transport_feedback import TransportFeedback
from tests.fuzz.mutate import mutate
from tests.sfu.engine.table import RECEIVED, SENT, Publisher
from tests.sfu.engine.test_engines_agree import RTX_TYPES, STREAMS, TYPES

SSRCS = [ssrc + rtx for ssrc, _ in STREAMS for rtx in (0, 1)] + [99]
PEERS = (10, 11)
MILLISECOND = 1_000_000


class Machine:
    """Interpreter that runs an input on a fresh table."""

    def __init__(self) -> None:
        self.engine: Engine = create_engine("compiled")
        self.publisher = Publisher(self.engine, 1, 1)
        self.engine.set_address(1, ("10.0.0.9", 1), 0)
        self.engine.acknowledge(1, 7)
        self.now = 1_000_000_000
        self.sent: dict[tuple[object, bytes, bytes], bytes] = {}
        for stream in range(len(STREAMS)):
            self.add_stream(stream)
        for peer in PEERS:
            profile = SrtpProfile.AEAD_AES_128_GCM if peer == 10 else SrtpProfile.AES128_CM_HMAC_SHA1_80
            key = bytes([peer]) * (28 if peer == 10 else 30)
            self.engine.set_peer(PeerEntry(peer, send_extensions=SENT))
            self.engine.set_keys(peer, SrtpKeys(profile, key, key))
            self.engine.set_address(peer, ("10.0.0.9", peer), 0)
            for route in range(3):
                self.add_route(peer * 10 + route, route)
                self.engine.switch_route(peer * 10 + route, RouteSource(route * 2))

    def run(self, data: bytes) -> None:
        offset = 0
        while offset + 2 <= len(data):
            body = data[offset + 2 : offset + 2 + data[offset + 1]]
            # IndexError: of `body`, which is too short for its step.
            with contextlib.suppress(KeyError, ValueError, IndexError):
                self.step(data[offset] & 15, body)
            offset += 2 + len(body)
        for peer in [1, *PEERS]:
            self.engine.remove_peer(peer)

    def step(self, operation: int, body: bytes) -> None:
        """Interpret one instruction of the program."""
        engine = self.engine
        self.now += body[0] * MILLISECOND
        if operation <= 5:
            header = bytes([body[1] & 0x3F | 0x80]) + body[2:9] + SSRCS[body[9] % len(SSRCS)].to_bytes(4, "big")
            leftover = Leftover(LeftoverKind.UNKNOWN_SSRC, 1, header + body[10:], self.publisher.source, 0, self.now)
            self.check(engine.resubmit([leftover], self.now).outgoing)
        elif operation == 6:
            packets = [
                rtp.RtpPacket(96, seq, body[1], 11, body[2:], extensions=((3, bytes([body[1], seq])), (2, body[2:5])))
                for seq in body[1:9]
            ]
            protected = [self.publisher.protect(packet, self.now) for packet in packets]
            self.check(engine.process(protected, self.now).outgoing)
        elif operation == 7:
            self.check(engine.process([Datagram(body[1:], self.publisher.source, 0, self.now)], self.now).outgoing)
        elif operation == 8:
            peer = PEERS[body[1] & 1]
            seqs = [int.from_bytes(body[at : at + 2], "big") for at in range(3, len(body), 2)]
            self.check(engine.retransmit(peer, 0x1000 + peer * 10 + body[2] % 3, seqs, self.now, body[0]))
        elif operation <= 10:
            reach = sum(body[7:8]) * 10 * MILLISECOND
            pending = RouteSource(
                body[2] % 6, body[3] or None, body[4] > 99, body[5] % 3, body[6] % 3, body[6] > 99, reach
            )
            engine.switch_route(self.route(body[1]), None if body[2] > 200 else pending)
        elif operation == 11:
            engine.set_budget(PEERS[body[1] & 1], body[2] * 1000 or None)
            engine.copy_audio(PEERS[body[1] & 1], body[2] % 3)
            self.check(engine.release(self.now))
            if isinstance(engine, SendSideObserver):
                engine.report_sent(PEERS[body[1] & 1], body[2] > 30)
                self.check(engine.pad(PEERS[body[1] & 1], body[2] * 10, self.now))
                engine.claim(PEERS[body[2] & 1], body[2] % 3 - 1)
                deltas = tuple(None if byte == 255 else byte * byte - 9 for byte in body[3:])
                feedback = TransportFeedback(1, 1, body[1], body[2] << 15, 0, deltas)
                engine.observe(PEERS[body[1] & 1], feedback, self.now, whole=body[2] > 99)
                engine.fold(PEERS[body[1] & 1], (body[2] & 3) * 250_000_000)
        elif operation == 12:
            self.edit(body)
        elif operation == 13:
            engine.protect_rtcp(PEERS[body[1] & 1], body[2:])
        elif operation == 14:
            engine.pace_feedback(1 + sum(body[6:7]) % 3)
            self.now += sum(body[7:8]) * MILLISECOND
            self.check(engine.feedback(self.now))
            engine.next_feedback()
            engine.take_uplinks()
            engine.hide_queue(1, sum(body[7:8]) > 127)
            if sum(body[8:9]) > 200:
                engine.acknowledge(1, body[8])
            engine.add_sink_route(body[1] % 6, body[2] & 3, body[3])
            engine.remove_sink_route(body[4] % 6, body[5] & 3)
        else:
            extensions = {
                name: body[2 + at] for at, name in enumerate(Extension) if at + 2 < len(body) and body[2 + at]
            }
            engine.set_peer(PeerEntry(PEERS[body[1] & 1], RECEIVED, extensions))

    def edit(self, body: bytes) -> None:
        stream = body[1] % 6
        if body[2] & 3 == 0:
            self.engine.remove_stream(stream)
            self.add_stream(stream)
        elif body[2] & 3 == 1:
            route = self.route(body[1])
            self.engine.remove_route(route)
            self.add_route(route, body[3])
        elif body[2] & 3 == 2:
            self.add_route(self.route(body[1]), body[3])
        else:
            self.engine.set_permitted(stream, body[3] > 99)
            self.engine.set_playout_delay(stream, None if body[3] & 1 else body[3] * MILLISECOND)
            self.engine.set_peer_playout_delay(PEERS[body[1] & 1], None if body[3] & 2 else body[3] * MILLISECOND)

    def route(self, byte: int) -> int:
        return PEERS[byte & 1] * 10 + byte % 3

    def add_stream(self, stream: int) -> None:
        ssrc, types = STREAMS[stream]
        self.engine.add_stream(StreamEntry(stream, 1, ssrc, types, ssrc + 1, 64))

    def add_route(self, route: int, kind: int) -> None:
        has_rtx = kind & 1 == 0
        self.engine.set_route(
            RouteEntry(
                route,
                route // 10,
                0x1000 + route,
                TYPES,
                32_760,
                rtx_ssrc=0x2000 + route if has_rtx else None,
                rtx_payload_types=RTX_TYPES if has_rtx else {},
                mid="m" * (kind % 20),
                is_audio=kind & 2 != 0,
            )
        )

    def check(self, outgoing: list[Outgoing]) -> None:
        for entry in outgoing:
            key = (entry.destination, entry.data[2:4], entry.data[8:12])
            assert self.sent.setdefault(key, entry.data) == entry.data, "a packet index was used twice"


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz_engine", description="Fuzz the compiled engine, guided by coverage.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--coverage", required=True, help="the library made of coverage.c")
    options = parser.parse_args()
    coverage = ctypes.CDLL(options.coverage)
    dice = random.Random()
    corpus = [path.read_bytes() for path in sorted(options.corpus.iterdir())]
    blocks = 0
    for data in corpus:
        blocks += _try(coverage, data)
    deadline = time.monotonic() + options.seconds
    tried = 0
    while time.monotonic() < deadline:
        data = mutate(corpus, dice)
        tried += 1
        # The last input before a crash, for its analysis.
        Path("last-input").write_bytes(data)
        news = _try(coverage, data)
        if news:
            blocks += news
            corpus.append(data)
            (options.corpus / f"{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
    print(f"engine: {tried} inputs, {blocks} blocks reached, {len(corpus)} inputs in the corpus, none wrong")
    return 0


def _try(coverage: ctypes.CDLL, data: bytes) -> int:
    coverage.coverage_begin()
    Machine().run(data)
    news: int = coverage.coverage_news()
    return news


if __name__ == "__main__":
    sys.exit(main())
