"""Answers to NACKs: an RTX packet equals the first send except for RTX header, OSN and hop-by-hop timestamps."""

import random

import pytest

from sfu.engine.contract import Drop, Engine, RouteSource, SrtpProfile, StreamEntry
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import (
    AUDIO,
    MILLISECOND,
    VIDEO,
    Subscriber,
    one_to_one,
    opus,
    rtx,
    vp8,
)

STAMPS = (2, 3)


def without_stamps(packet: RtpPacket) -> RtpPacket:
    kept = tuple(element for element in packet.extensions if element[0] not in STAMPS)
    return packet._replace(extensions=kept)


def original_of(packet: RtpPacket) -> RtpPacket:
    """Undo the RTX of route 1."""
    seq = int.from_bytes(packet.payload[:2], "big")
    return packet._replace(payload_type=100, ssrc=0x1001, seq=seq, payload=packet.payload[2:])


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_rtx_equals_the_first_send(engine: Engine, profile: SrtpProfile) -> None:
    publisher, subscriber = one_to_one(engine, profile)
    packets = [vp8(1, 0, key=True, extensions=((4, b"\5"),)), vp8(2, 3000), vp8(3, 6000, extensions=((7, bytes(40)),))]
    sent = subscriber.received(engine.process([publisher.protect(packet) for packet in packets], 0))
    again = subscriber.received(engine.retransmit(2, 0x1001, [500, 502], 9 * MILLISECOND, 0))
    assert [(p.payload_type, p.ssrc, p.seq) for p in again] == [(101, 0x2001, 500), (101, 0x2001, 501)]
    expected = [without_stamps(sent[0]), without_stamps(sent[2])]
    assert [without_stamps(original_of(packet)) for packet in again] == expected
    assert [int.from_bytes(dict(packet.extensions)[3], "big") for packet in again] == [3, 4]
    assert engine.route_state(1).retransmitted == 2
    assert engine.route_state(1).packets == 3
    assert engine.counters["retransmitted"] == 2


def test_rtx_equals_the_first_send_across_switches_and_layers(engine: Engine) -> None:
    """Two layers with losses, padding, repairs, switches and filters: whatever was sent is sent again alike."""
    randoms = random.Random(7)
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(2, 1, 13, VIDEO, 14))
    seqs = {11: 100, 13: 65_400}
    rtx_seqs = {11: 0, 13: 0}
    lost: list[RtpPacket] = []
    sent: dict[int, RtpPacket] = {}
    for frame in range(120):
        batch = []
        for ssrc in (11, 13):
            for part in range(3):
                temporal = 0 if frame % 10 == 0 else frame % 2
                packet = vp8(
                    seqs[ssrc],
                    frame * 3000 + ssrc,
                    ssrc=ssrc,
                    picture=frame,
                    tl0=frame // 2,
                    temporal=temporal,
                    sync=True,
                    key=frame % 10 == 0,
                    start=part == 0,
                    body=randoms.randbytes(30),
                )
                seqs[ssrc] += 1
                if randoms.random() < 0.1:
                    lost.append(packet)
                else:
                    batch.append(publisher.protect(packet, frame * 20 * MILLISECOND))
        if lost and randoms.random() < 0.5:
            packet = lost.pop(randoms.randrange(len(lost)))
            rtx_seqs[packet.ssrc] += 1
            batch.append(publisher.protect(rtx(packet, rtx_seqs[packet.ssrc]), frame * 20 * MILLISECOND))
        for packet in subscriber.received(engine.process(batch, frame * 20 * MILLISECOND)):
            assert packet.seq not in sent
            sent[packet.seq] = packet
        if randoms.random() < 0.2:
            stream = randoms.choice([1, 2])
            engine.switch_route(
                1, RouteSource(stream, max_temporal=randoms.choice([0, 255]), at_keyframe=randoms.random() < 0.7)
            )
    recent = sorted(sent)[-300:]
    again = subscriber.received(engine.retransmit(2, 0x1001, recent, 0, 0))
    assert [without_stamps(original_of(packet)) for packet in again] == [without_stamps(sent[seq]) for seq in recent]


def test_without_rtx_the_same_bytes_again(engine: Engine) -> None:
    """One packet index must never protect two packets, so stamps stay as they were."""
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, rtx_payload_types={}, is_audio=True, payload_types={111: 111})
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    result = engine.process([publisher.protect(opus(1)), publisher.protect(opus(2, 960))], MILLISECOND)
    again = engine.retransmit(2, 0x1002, [500, 501], 50 * MILLISECOND, 0)
    assert again == result.outgoing
    # With other extension ids the bytes would be others: refused.
    subscriber.add_route(2, rtx_ssrc=None, rtx_payload_types={}, is_audio=True, payload_types={111: 112})
    assert engine.retransmit(2, 0x1002, [500], 90 * MILLISECOND, 0) == []
    assert engine.drops[Drop.RTX_UNKNOWN] == 1


def test_not_again_within_the_interval(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    assert len(engine.retransmit(2, 0x1001, [500], 10, 100)) == 1
    assert len(engine.retransmit(2, 0x1001, [500], 109, 100)) == 0
    assert engine.drops[Drop.RTX_TOO_SOON] == 1
    assert len(engine.retransmit(2, 0x1001, [500], 110, 100)) == 1


def test_unknown_seqs_are_counted(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, key=True)), publisher.protect(vp8(3))], 0)
    # 501 is missing, the others never were.
    assert engine.retransmit(2, 0x1001, [501, 499, 503, 0, 40_000], 0, 0) == []
    assert engine.drops[Drop.RTX_UNKNOWN] == 5
    with pytest.raises(KeyError):
        engine.retransmit(2, 99, [1], 0, 0)
    with pytest.raises(KeyError):
        engine.retransmit(9, 0x1001, [1], 0, 0)


def test_a_nack_reaches_over_the_rollover(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    subscriber.add_route(3, first_seq=(1 << 15) - 1)
    engine.switch_route(3, RouteSource(1))
    for seq in [*range(0, 32_500, 100), *range(32_500, 33_000)]:
        engine.process([publisher.protect(vp8(seq, seq, key=seq == 0))], 0)
    newest = (32_767 + 32_999) & 0xFFFF
    assert newest == 230
    again = subscriber.received(engine.retransmit(2, 0x1003, [65_535, 0, 230], 0, 0))
    assert [int.from_bytes(packet.payload[:2], "big") for packet in again] == [65_535, 0, 230]


def test_an_ssrc_goes_on_after_what_its_keys_have_protected(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    engine.retransmit(2, 0x1001, [500], 0, 0)
    engine.remove_route(1)
    subscriber.add_route(9, ssrc=0x1001, rtx_ssrc=0x2001)
    engine.switch_route(9, RouteSource(1))
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(2, key=True))], 0))
    assert packet.seq == 501
    (packet,) = subscriber.received(engine.retransmit(2, 0x1001, [501], 0, 0))
    assert packet.seq == 501


def test_new_keys_begin_new_indexes(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, key=True)), publisher.protect(vp8(2))], 0)
    subscriber = Subscriber(engine, 2, 77)
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(3))], 0))
    assert packet.seq == 500
    assert engine.retransmit(2, 0x1001, [499], 0, 0) == []
