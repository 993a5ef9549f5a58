"""AV1 layers from the dependency descriptor: whatever is filtered, all references of a forwarded frame are too."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import Engine, Payload, RouteSource, StreamEntry
from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.dependency_descriptor import DependencyDescriptor, TemplateStructure, parse
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import Publisher, Subscriber
from tests.sfu.formats.test_dependency_descriptor import descriptors, structures, write
from tests.support.captures import DEPENDENCY_DESCRIPTOR, captured

AV1 = {45: Payload(Codec.AV1, 90_000)}
RECEIVED_ID, SENT_ID = 7, 8
MILLISECOND = 1_000_000


def capture() -> list[RtpPacket]:
    """Chromium's AV1 of two spatial and two temporal layers, as stream 61 sends it."""
    packets = []
    for data in captured("chromium-av1-l2t2-key"):
        packet = rtp.parse(data)
        value = dict(packet.extensions)[DEPENDENCY_DESCRIPTOR]
        packets.append(packet._replace(payload_type=45, ssrc=61, extensions=((RECEIVED_ID, value),)))
    return packets


class Call:
    """Peer 1 publishes AV1 as stream 6; peer 2 gets it by route 1, up to the layers that `allow` names."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.publisher = Publisher(engine, 1, 1)
        self.subscriber = Subscriber(engine, 2, 2)
        engine.add_stream(StreamEntry(6, 1, 61, AV1))
        self.subscriber.add_route(1, payload_types={45: 45}, rtx_ssrc=None, rtx_payload_types={})
        self.now = 0
        self.structure: TemplateStructure | None = None
        self.received: list[tuple[RtpPacket, DependencyDescriptor]] = []

    def allow(self, temporal: int, spatial: int, *, at_keyframe: bool = False, stream: int = 6) -> None:
        source = RouteSource(stream, None, at_keyframe, max_temporal=temporal, max_spatial=spatial)
        self.engine.switch_route(1, source)

    def send(self, packets: Iterable[RtpPacket]) -> list[tuple[RtpPacket, DependencyDescriptor]]:
        """Send packets; return the forwarded ones."""
        self.now += MILLISECOND
        result = self.engine.process([self.publisher.protect(packet) for packet in packets], self.now)
        came = []
        for packet in self.subscriber.received(result):
            descriptor = parse(dict(packet.extensions)[SENT_ID], self.structure)
            self.structure = descriptor.structure or self.structure
            came.append((packet, descriptor))
        self.received += came
        return came


@pytest.fixture
def call(engine: Engine) -> Call:
    return Call(engine)


def layers(came: list[tuple[RtpPacket, DependencyDescriptor]]) -> set[tuple[int, int]]:
    return {(entry.frame.spatial_layer, entry.frame.temporal_layer) for _, entry in came}


def check_whole(came: list[tuple[RtpPacket, DependencyDescriptor]]) -> None:
    """Seqs have no gaps, and a frame's references came before it."""
    seqs = [packet.seq for packet, _ in came]
    assert seqs == [(seqs[0] + index) & 0xFFFF for index in range(len(seqs))]
    known = set()
    for _, entry in came:
        known.add(entry.frame_number)
        for diff in entry.frame.frame_diffs:
            assert (entry.frame_number - diff) & 0xFFFF in known, entry


def test_all_of_it_passes(call: Call) -> None:
    call.allow(255, 255, at_keyframe=True)
    assert layers(call.send(capture())) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    check_whole(call.received)


@pytest.mark.parametrize(("temporal", "spatial"), [(0, 0), (0, 1), (1, 0), (0, 255), (255, 0)])
def test_layers_above_are_filtered_and_closed_up(call: Call, temporal: int, spatial: int) -> None:
    call.allow(temporal, spatial, at_keyframe=True)
    came = call.send(capture())
    wanted = {(s, t) for s in (0, 1) for t in (0, 1) if s <= spatial and t <= temporal}
    assert layers(came) == wanted
    check_whole(came)
    ends = [packet.timestamp for packet, _ in came if packet.marker]
    assert ends == sorted(set(ends), key=ends.index)
    assert len(ends) == len({packet.timestamp for packet, _ in came})


def test_rate_falls_and_rises_without_a_keyframe(call: Call) -> None:
    packets = capture()
    third = len(packets) // 3
    call.allow(255, 255, at_keyframe=True)
    call.send(packets[:third])
    call.allow(0, 255)
    assert {temporal for _, temporal in layers(call.send(packets[third : 2 * third])[4:])} == {0}
    call.allow(255, 255)
    assert {temporal for _, temporal in layers(call.send(packets[2 * third :]))} == {0, 1}
    check_whole(call.received)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_allowed_when_all_references_come(call: Call, seed: int) -> None:
    dice = random.Random(seed)
    packets = capture()
    call.allow(dice.choice([0, 1, 255]), dice.choice([0, 1, 255]), at_keyframe=True)
    at = 0
    while at < len(packets):
        size = dice.randrange(1, 12)
        call.send(packets[at : at + size])
        at += size
        if dice.random() < 0.5:
            call.allow(dice.choice([0, 1, 255]), dice.choice([0, 1, 255]))
    assert len(call.received) > 0
    check_whole(call.received)


@pytest.mark.parametrize("behind", [1, 40])
def test_frame_numbers_go_on_where_a_keyframe_was_overtaken(call: Call, behind: int) -> None:
    """A publisher numbers frames across its simulcast streams, and may send a keyframe after later ones of another."""
    packets = capture()
    call.engine.add_stream(StreamEntry(7, 1, 62, AV1))
    call.allow(255, 255, at_keyframe=True)
    call.send(packets)
    newest = call.received[-1][1].frame_number
    first = parse(packets[0].extensions[0][1], None).frame_number
    others = []
    for packet in packets:
        value = packet.extensions[0][1]
        number = int.from_bytes(value[1:3], "big") - first + newest - behind & 0xFFFF
        value = value[:1] + number.to_bytes(2, "big") + value[3:]
        others.append(packet._replace(ssrc=62, extensions=((RECEIVED_ID, value),)))
    call.engine.switch_route(1, RouteSource(7, None, True))
    before = len(call.received)
    assert call.send(others)
    numbers = [entry.frame_number for _, entry in call.received]
    assert numbers[before] == newest + 1
    assert numbers == sorted(numbers)
    check_whole(call.received)


def test_without_a_structure_nothing_is_known_of_layers(call: Call) -> None:
    """As when the first packet of a keyframe was lost: all of it passes."""
    call.allow(0, 0)
    packets = [packet for packet in capture() if len(packet.extensions[0][1]) <= 3]
    result = call.engine.process([call.publisher.protect(packet) for packet in packets[:20]], 1)
    assert len(call.subscriber.received(result)) == 20


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_engines_agree_on_any_descriptor(data: st.DataObject) -> None:
    """Whatever structures say, also where a byte of a descriptor was changed, and from stream to stream."""
    calls = [Call(create_engine(name)) for name in available_engines()]
    for call in calls:
        call.engine.add_stream(StreamEntry(7, 1, 62, AV1))
    structure, seq = data.draw(structures()), 0
    for _ in range(4):
        temporal, spatial = data.draw(st.sampled_from([0, 1, 255, 255])), data.draw(st.sampled_from([0, 1, 255, 255]))
        packets = []
        stream = data.draw(st.sampled_from([6, 6, 7]))
        for _ in range(data.draw(st.integers(1, 10))):
            _, base, descriptor = data.draw(descriptors(structure))
            value = bytearray(write(descriptor, base))
            if data.draw(st.integers(0, 9)) == 0:
                value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
            extensions = ((RECEIVED_ID, bytes(value)),) if len(value) < 256 else ()
            packets.append(RtpPacket(45, seq, seq * 3000, stream + 55, b"\x18\x30image", extensions=extensions))
            seq += 1
        sent = []
        for call in calls:
            call.allow(temporal, spatial, stream=stream)
            batch = [call.publisher.protect(packet) for packet in packets]
            sent.append(call.engine.process(batch, MILLISECOND).outgoing)
        assert all(outgoing == sent[0] for outgoing in sent)
    assert all(call.engine.drops == calls[0].engine.drops for call in calls)
