"""Both engines with the same table and batches give byte-identical results in every case."""

import random

import pylibsrtp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import (
    ConsentCheck,
    Datagram,
    Engine,
    LeftoverKind,
    Outgoing,
    Payload,
    PeerEntry,
    Progress,
    RouteEntry,
    RouteSource,
    SrtpKeys,
    SrtpProfile,
    StreamEntry,
)
from sfu.formats import red, rtp, stun
from sfu.formats.codecs import Codec
from sfu.formats.congestion_feedback import CongestionFeedback, PacketArrival, StreamArrivals
from sfu.formats.extensions import Extension
from sfu.formats.rtp import RtpPacket
from sfu.formats.transport_feedback import TransportFeedback
from tests.sfu.engine.table import (
    KEY_BYTES,
    MILLISECOND,
    RECEIVED,
    SENT,
    SOUND,
    VIDEO,
    VIDEO_VP9,
    Publisher,
    opus,
    rtx,
    vp8,
    vp9,
)

H264 = {102: Payload(Codec.H264, 90_000), 103: Payload(Codec.RTX, 90_000, 102)}
AV1 = {45: Payload(Codec.AV1, 90_000), 46: Payload(Codec.RTX, 90_000, 45)}
STREAMS = [(11, VIDEO), (21, VIDEO_VP9), (31, SOUND), (41, VIDEO), (51, H264), (61, AV1)]
TYPES = {96: 100, 98: 102, 111: 111, 102: 104, 45: 47}
RTX_TYPES = {100: 101, 102: 103, 104: 105, 47: 48}


def test_both_engines_are_here() -> None:
    """The development environment has a compiler; `make venv` builds the compiled one."""
    assert available_engines() == ["compiled", "python"]


class Twins:
    """Every engine, driven alike; results are compared at each step."""

    def __init__(self, seed: int) -> None:
        self.randoms = random.Random(seed)
        self.engines: list[Engine] = [create_engine(name) for name in available_engines()]
        self.profile = self.randoms.choice(list(SrtpProfile))
        self.now = self.randoms.randrange(1, 10**15)
        self.publisher: Publisher
        for engine in self.engines:
            self.publisher = Publisher(engine, 1, seed, self.profile)
        self.seqs = {ssrc: self.randoms.randrange(1 << 16) for ssrc, _ in STREAMS}
        self.rtx_seqs = dict.fromkeys(self.seqs, 0)
        self.frames = dict.fromkeys(self.seqs, 0)
        self.lost: list[RtpPacket] = []
        self.sent: dict[tuple[object, bytes, bytes], bytes] = {}
        self.subscribers = range(10, 14)
        self.each("add_stream", *[(StreamEntry(k, 1, ssrc, types, ssrc + 1, 200),) for k, (ssrc, types) in streams()])
        for peer in self.subscribers:
            self.add_subscriber(peer)
        self.each("set_address", (1, self.publisher.source, 0))
        self.each("acknowledge", (1, 99))

    def each(self, verb: str, *calls: tuple[object, ...]) -> object:
        """Call every engine; all answer, or refuse, alike."""
        answer: object = None
        for call in calls:
            answers = []
            for engine in self.engines:
                try:
                    answers.append(getattr(engine, verb)(*call))
                except (KeyError, ValueError) as error:
                    answers.append(type(error))
            assert all(entry == answers[0] for entry in answers), (verb, call)
            answer = answers[0]
            self.check_indexes(getattr(answer, "outgoing", answer))
        return answer

    def check_indexes(self, outgoing: object) -> None:
        """Nothing but the very same bytes may ever go out again under an (SSRC, seq): GCM's keys depend on it."""
        for entry in outgoing if isinstance(outgoing, list) else ():
            if isinstance(entry, Outgoing) and not rtp.is_rtcp(entry.data):
                key = (entry.destination, entry.data[2:4], entry.data[8:12])
                assert self.sent.setdefault(key, entry.data) == entry.data

    def add_subscriber(self, peer: int) -> None:
        randoms = self.randoms
        extensions = dict(randoms.sample(list(SENT.items()), randoms.randrange(len(SENT) + 1)))
        if randoms.random() < 0.2 and extensions:
            extensions[next(iter(extensions))] = 17
        self.each("set_peer", (PeerEntry(peer, send_extensions=extensions),))
        profile = randoms.choice(list(SrtpProfile))
        size = KEY_BYTES[profile]
        self.each("set_keys", (peer, SrtpKeys(profile, randoms.randbytes(size), randoms.randbytes(size))))
        self.sent = {key: data for key, data in self.sent.items() if key[0] != ("10.0.0.9", peer)}
        self.each("set_address", (peer, ("10.0.0.9", peer), 0))
        for k in range(4):
            route = peer * 10 + k
            self.add_route(route)
            self.switch(route)

    def add_route(self, route: int) -> None:
        has_rtx = self.randoms.random() < 0.7
        entry = RouteEntry(
            route,
            route // 10,
            0x1000 + route,
            dict(self.randoms.sample(list(TYPES.items()), self.randoms.choice([3, 5, 5, 5]))),
            self.randoms.choice([0, 32_760, self.randoms.randrange(1 << 15)]),
            first_timestamp=self.randoms.randrange(1 << 32),
            rtx_ssrc=0x2000 + route if has_rtx else None,
            rtx_payload_types=RTX_TYPES if has_rtx else {},
            mid=self.randoms.choice(["", "0", "video-1", "a-mid-of-more-than-16-bytes"]),
            is_audio=self.randoms.random() < 0.2,
        )
        self.each("set_route", (entry,))

    def switch(self, route: int) -> None:
        source = RouteSource(
            self.randoms.randrange(len(STREAMS)),
            self.randoms.choice([None, None, self.randoms.randrange(1 << 32)]),
            self.randoms.random() < 0.5,
            self.randoms.choice([255, 255, 0, 1]),
            self.randoms.choice([255, 255, 0, 1]),
            self.randoms.random() < 0.5,
            self.randoms.choice([0, 30, 300, 3000]) * MILLISECOND,
        )
        self.each("switch_route", (route, self.randoms.choice([source, source, source, None])))

    def packets(self) -> list[RtpPacket]:
        """Return one frame, or padding, of a stream."""
        randoms = self.randoms
        ssrc, types = randoms.choice(STREAMS)
        if randoms.random() < 0.02:
            self.seqs[ssrc] += randoms.choice([300, 1200, 5000])
            # libsrtp protects nothing that is older than its window.
            self.lost.clear()
        frame = self.frames[ssrc]
        self.frames[ssrc] += 1
        extensions = tuple(
            (identifier, randoms.randbytes(randoms.choice([1, 2, 3, 5, 20])))
            for identifier in randoms.sample(list(RECEIVED), randoms.randrange(4))
        )
        key = randoms.random() < 0.3
        packets = []
        for part in range(randoms.randrange(1, 4)):
            seq = self.seqs[ssrc]
            self.seqs[ssrc] += 1
            body = randoms.randbytes(randoms.randrange(1, 40))
            if types is VIDEO:
                packet = vp8(
                    seq, frame * 3000, ssrc=ssrc, picture=frame, tl0=frame // 2, temporal=frame % 3, key=key,
                    sync=randoms.random() < 0.5, start=part == 0, body=body,
                )  # fmt: skip
            elif types is VIDEO_VP9:
                packet = vp9(
                    seq, frame * 3000, ssrc=ssrc, picture=frame, tl0=frame // 2, temporal=frame % 2, spatial=part,
                    inter=not key, up=randoms.random() < 0.5, body=body,
                )  # fmt: skip
            elif types is SOUND:
                packet = opus(seq, seq * 960, ssrc=ssrc, body=body)
                if randoms.random() < 0.7:
                    packet = packet._replace(payload_type=63, payload=self.redundant(body))
            else:
                first = randoms.choice(
                    [b"\x67", b"\x7c\x85\x88", b"\x18\x00\x02\x67\x01", b"\x08\x0a\x01", b"\x18", b""]
                )
                packet = RtpPacket(min(types) if types is AV1 else 102, seq & 0xFFFF, frame * 3000, ssrc, first + body)
            packet = packet._replace(extensions=extensions, marker=part == 2)
            if randoms.random() < 0.1:
                packet = packet._replace(padding=randoms.randrange(1, 30))
            if randoms.random() < 0.05:
                packet = packet._replace(payload=b"", padding=9)
            if randoms.random() < 0.03:
                packet = packet._replace(payload_type=randoms.randrange(127))
            if randoms.random() < 0.05:
                packet = packet._replace(payload=randoms.randbytes(randoms.randrange(1, 12)))
            packets.append(packet)
        return packets

    def redundant(self, body: bytes) -> bytes:
        """Return a RED payload; its blocks are not what was sent before, which engines do not look at."""
        randoms = self.randoms
        blocks = [
            (randoms.choice([111, 111, 111, 63, 5]), 960 * age, randoms.randbytes(randoms.choice([0, 3, 9, 9])))
            for age in range(randoms.randrange(4), 0, -1)
        ]
        return red.serialize(blocks, randoms.choice([111, 111, 111, 111, 63, 5]), body)

    def batch(self) -> list[Datagram]:
        randoms = self.randoms
        datagrams = []
        for _ in range(randoms.randrange(1, 8)):
            for packet in self.packets():
                if randoms.random() < 0.15:
                    self.lost.append(packet)
                else:
                    datagrams.append(self.protect(packet))
        while self.lost and randoms.random() < 0.6:
            packet = self.lost.pop(randoms.randrange(len(self.lost)))
            if randoms.random() < 0.5:
                datagrams.append(self.protect(packet))
            else:
                self.rtx_seqs[packet.ssrc] += 1
                datagrams.append(self.protect(rtx(packet, self.rtx_seqs[packet.ssrc])))
        if randoms.random() < 0.2:
            datagrams.append(Datagram(self.check(), self.publisher.source, 0, self.now))
        if datagrams and randoms.random() < 0.3:
            datagrams.append(randoms.choice(datagrams))
        if datagrams and randoms.random() < 0.2:
            data = bytearray(randoms.choice(datagrams).data)
            data[randoms.randrange(len(data))] ^= 1 << randoms.randrange(8)
            datagrams.append(Datagram(bytes(data), self.publisher.source, 0, self.now))
        if randoms.random() < 0.2:
            report = b"\x80\xc9\0\1" + randoms.choice([11, 31, 77]).to_bytes(4, "big")
            datagrams.append(Datagram(self.publisher.srtp.protect_rtcp(report), self.publisher.source, 0, self.now))
        if randoms.random() < 0.2:
            datagrams.append(self.protect(opus(randoms.randrange(1000), ssrc=randoms.randrange(500, 600))))
        if randoms.random() < 0.5:
            randoms.shuffle(datagrams)
        return datagrams

    def check(self) -> bytes:
        """Return a consent check, perhaps the one that the engines answer."""
        randoms = self.randoms
        message = stun.Message(
            stun.MessageClass.REQUEST, randoms.randbytes(12), username="ours:theirs", priority=randoms.randrange(2)
        )
        return stun.serialize(message, b"key", fingerprint=randoms.random() < 0.8)

    def protect(self, packet: RtpPacket) -> Datagram:
        return self.publisher.protect(packet, self.now + self.randoms.randrange(-MILLISECOND, MILLISECOND))

    def edit(self) -> None:
        """Change something in the table."""
        randoms = self.randoms
        peer = randoms.choice(self.subscribers)
        route = peer * 10 + randoms.randrange(4)
        stream = randoms.randrange(len(STREAMS))
        edits = [
            lambda: self.switch(route),
            lambda: self.switch(route),
            lambda: self.switch(route),
            lambda: self.add_route(route),
            lambda: self.each("remove_route", (route,)),
            lambda: self.each("set_permitted", (stream, randoms.random() < 0.8)),
            lambda: self.each("set_playout_delay", (stream, randoms.choice([None, 0, 250 * MILLISECOND]))),
            lambda: self.each("set_peer_playout_delay", (peer, randoms.choice([None, 0, 100 * MILLISECOND]))),
            lambda: self.each("set_budget", (peer, randoms.choice([None, 50_000, 500_000]))),
            lambda: self.each("spare_silence", (randoms.random() < 0.3,)),
            lambda: self.each("copy_audio", (peer, randoms.randrange(3))),
            lambda: self.each("add_sink_route", (stream, randoms.randrange(3), randoms.randrange(9))),
            lambda: self.each("remove_sink_route", (stream, randoms.randrange(3))),
            lambda: self.each("protect_rtcp", (peer, b"\x80\xc8\0\1" + randoms.randbytes(randoms.choice([4, 24])))),
            lambda: self.nack(route),
            lambda: self.nack(route),
            lambda: self.each("report_sent", (peer, randoms.random() < 0.7)),
            lambda: self.each("claim", (peer, randoms.randrange(-1, 3))),
            lambda: self.observe(peer),
            lambda: self.observe(peer),
            lambda: self.each("pad", (peer, randoms.randrange(3000), self.now)),
            lambda: self.replace(stream, peer),
            self.answer_checks,
        ]
        randoms.choice(edits)()

    def answer_checks(self) -> None:
        attributes = stun.attributes_of(self.check())
        mapped = self.randoms.choice([self.publisher.source, ("2001:db8::1", 4000)])
        self.each("answer_checks", (1, self.randoms.choice([None, ConsentCheck(attributes, b"key", mapped)])))

    def observe(self, peer: int) -> None:
        """Feedback on recently sent packets, and on packets that were never sent."""
        randoms = self.randoms
        deltas = tuple(randoms.choice([None, 0, 1, 40, 1000, -300]) for _ in range(randoms.randrange(1, 300)))
        packets = tuple(randoms.choice([None, PacketArrival(0, randoms.randrange(90))]) for _ in range(300))
        streams = tuple(StreamArrivals(0x1000 + peer * 10 + k, randoms.randrange(1 << 15), packets) for k in range(4))
        seconds = self.now // 1_000_000_000
        message = randoms.choice([
            TransportFeedback(1, 1, randoms.randrange(-20, 300) & 0xFFFF, seconds * 15 & 0x7FFFFF, 0, deltas),
            CongestionFeedback(1, seconds << 16 & 0xFFFFFFFF, streams),
        ])  # fmt: skip
        whole = randoms.random() < 0.5
        answers = [engine.observe(peer, message, self.now, whole=whole) for engine in self.engines]
        assert all(answer == answers[0] for answer in answers)

    def replace(self, stream: int, peer: int) -> None:
        """The seldom ones."""
        ssrc, types = STREAMS[stream]
        if self.randoms.random() < 0.5:
            self.each("remove_stream", (stream,))
            self.each("add_stream", (StreamEntry(stream, 1, ssrc, types, ssrc + 1, 200),))
        elif self.randoms.random() < 0.5:
            self.each("add_stream", (StreamEntry(stream, 1, ssrc, types, self.randoms.choice([None, ssrc + 1]), 200),))
        else:
            self.each("remove_peer", (peer,))
            self.add_subscriber(peer)

    def nack(self, route: int) -> None:
        state = self.each("route_state", (route,))
        last = getattr(state, "last_seq", 0)
        seqs = [(last - self.randoms.randrange(60)) & 0xFFFF for _ in range(5)] + [self.randoms.randrange(1 << 16)]
        self.each("retransmit", (route // 10, 0x1000 + route, seqs, self.now, self.randoms.choice([0, MILLISECOND])))

    def step(self) -> None:
        self.now += self.randoms.randrange(20 * MILLISECOND)
        while self.randoms.random() < 0.5:
            self.edit()
        result = self.each("process", (self.batch(), self.now))
        for leftover in getattr(result, "leftovers", ()):
            if leftover.kind is LeftoverKind.UNKNOWN_SSRC and self.randoms.random() < 0.5:
                self.each("resubmit", ([leftover], self.now))
        if self.randoms.random() < 0.5:
            self.each("next_release", ())
            self.each("release", (self.now,))
        for peer in self.subscribers:
            for k in range(4):
                self.each("route_state", (peer * 10 + k,))
        self.each("last_activity", (1,))
        self.each("checked_at", (1,))
        self.each("next_feedback", ())
        self.each("feedback", (self.now,))
        self.each("claim", *[(peer,) for peer in self.subscribers if self.randoms.random() < 0.3])
        assert all(engine.drops == self.engines[0].drops for engine in self.engines)
        assert all(engine.counters == self.engines[0].counters for engine in self.engines)
        assert all(engine.packets_in == self.engines[0].packets_in for engine in self.engines)
        for stream, _ in streams():
            told = [figures(engine, stream) for engine in self.engines]
            assert all(entry == told[0] for entry in told)


def figures(engine: Engine, stream: int) -> dict[str, object]:
    """Return all that an engine tells of a stream's progress, nothing for a stream that it does not have."""
    try:
        progress = engine.progress(stream)
    except KeyError:
        return {}
    return {name: getattr(progress, name) for name, value in vars(Progress).items() if isinstance(value, property)}


def streams() -> list[tuple[int, tuple[int, dict[int, Payload]]]]:
    return list(enumerate(STREAMS))


@pytest.mark.parametrize("seed", range(40))
def test_random_lives(seed: int) -> None:
    twins = Twins(seed)
    for _ in range(60):
        twins.step()
    assert twins.engines[0].counters["forwarded"] > 0


def test_random_lives_lose_sound_that_redundancy_brings() -> None:
    twins = Twins(0)
    for _ in range(60):
        twins.step()
    assert twins.engines[0].counters["recovered"] > 0


@settings(max_examples=120, deadline=None)
@given(
    codec=st.sampled_from([(11, 96), (21, 98), (31, 63), (51, 102), (61, 45)]),
    payloads=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6),
    block=st.binary(max_size=40),
    profile=st.sampled_from([0xBEDE, 0x1000, 0x1234]),
)
def test_hostile_descriptors_and_extensions(
    codec: tuple[int, int], payloads: list[bytes], block: bytes, profile: int
) -> None:
    twins = Twins(1)
    ssrc, payload_type = codec
    block += bytes(-len(block) % 4)
    batch = []
    for seq, payload in enumerate(payloads):
        fixed = rtp.build_header(payload_type, False, seq, 0, ssrc)
        header = bytes([0x90]) + fixed[1:] + profile.to_bytes(2, "big") + (len(block) // 4).to_bytes(2, "big") + block
        try:
            data = twins.publisher.srtp.protect(header + payload)
        except pylibsrtp.Error:
            continue
        batch.append(Datagram(data, twins.publisher.source, 0, 0))
    twins.each("process", (batch, twins.now))
    assert Extension.TRANSPORT_SEQ in SENT


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_agree_over_rollovers(profile: SrtpProfile) -> None:
    """Three times round 2**16 in either direction of SRTP."""
    twins = Twins(3)
    twins.profile = profile
    seq = twins.randoms.randrange(1 << 15)
    for engine in twins.engines:
        twins.publisher = Publisher(engine, 1, 99, profile)
    for start in range(0, 3 * 65_536, 700):
        batch = [twins.protect(vp8(seq + start + k, start + k, key=start == 0)) for k in (0, 1, 350, 2)]
        twins.each("process", (batch, twins.now))
    assert all(engine.drops == twins.engines[0].drops for engine in twins.engines)
