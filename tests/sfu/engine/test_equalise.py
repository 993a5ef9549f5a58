"""Packets of a frame that differ by a byte or two are padded to the same length, so the kernel can segment them."""

from sfu.engine.contract import Engine, RouteSource, StreamEntry
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import AUDIO, one_to_one, opus, vp8


def frame(seq: int, timestamp: int, sizes: list[int], *, key: bool = False, padding: int = 0) -> list[RtpPacket]:
    packets = []
    for k, size in enumerate(sizes):
        packet = vp8(seq + k, timestamp, key=key, start=k == 0, body=b"", padding=padding)
        packets.append(packet._replace(payload=packet.payload.ljust(size, b"\0")))
    return packets


def test_packets_of_a_frame_get_one_length(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    packets = frame(1, 0, [1000, 999, 1001, 998, 997], key=True) + frame(6, 3000, [500, 500, 500])
    result = engine.process([publisher.protect(packet) for packet in packets], 0)
    received = subscriber.received(result)
    assert [len(entry.data) for entry in result.outgoing[:4]] == [len(result.outgoing[2].data)] * 4
    assert [packet.padding for packet in received] == [1, 2, 0, 3, 0, 0, 0, 0]
    assert [packet.payload for packet in received] == [packet.payload for packet in packets]
    assert engine.route_state(1).octets == sum(len(packet.payload) for packet in packets)


def test_repairs_are_padded_alike(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    packets = frame(1, 0, [300, 299], key=True)
    subscriber.received(engine.process([publisher.protect(packet) for packet in packets], 0))
    (again,) = subscriber.received(engine.retransmit(2, 0x1001, [501], 0, 0))
    assert (again.payload[2:], again.padding) == (packets[1].payload, 1)


def test_what_the_publisher_padded_stays(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    packets = frame(1, 0, [300, 299], key=True, padding=9)
    engine.add_sink_route(1, 1, 1)
    result = engine.process([publisher.protect(packet) for packet in packets], 0)
    assert [packet.padding for packet in subscriber.received(result)] == [0, 0]
    assert all(entry.rtp.endswith(b"\t") for entry in result.sink_packets)


def test_sinks_get_no_padding_of_ours(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.add_sink_route(1, 1, 1)
    packets = frame(1, 0, [300, 299], key=True)
    result = engine.process([publisher.protect(packet) for packet in packets], 0)
    assert [entry.rtp[-299:] for entry in result.sink_packets] == [packet.payload[-299:] for packet in packets]


def test_audio_is_left_alone(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    batch = [publisher.protect(opus(k, 0, body=bytes(50 + k))) for k in range(3)]
    assert [packet.padding for packet in subscriber.received(engine.process(batch, 0))] == [0, 0, 0]
