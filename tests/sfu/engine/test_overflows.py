"""Packets lost by ourselves, in an unread socket or by shedding, are not repaired."""

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from sfu.engine.contract import ArrivalFlag, Drop, Engine, Result, RouteSource, StreamEntry
from sfu.engine.pump import BACKLOG_DATAGRAMS, HELD_NS, STALE_NS, Pump
from sfu.engine.sockets import Sockets
from sfu.formats import red, rtp
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import AUDIO, SOUND, Publisher, Subscriber, one_to_one, opus, vp8


def run(engine: Engine, publisher: Publisher, *packets: RtpPacket, dropped: int = 0) -> Result:
    """Process packets; before the first of them the socket dropped so many."""
    batch = [publisher.protect(packet) for packet in packets]
    batch[0] = batch[0]._replace(dropped=dropped)
    return engine.process(batch, 0)


def after_loss(result: Result) -> list[int]:
    return [arrival.ext_seq for arrival in result.arrivals if arrival.flags & ArrivalFlag.OVERFLOWED]


def test_a_gap_after_an_overflow_is_ours_and_one_number_is_left_out_for_it(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine_out = [run(engine, publisher, vp8(1, key=True), vp8(2))]
    engine_out.append(run(engine, publisher, vp8(9), vp8(10), dropped=7))
    assert after_loss(engine_out[1]) == [9]
    assert [packet.seq for result in engine_out for packet in subscriber.received(result)] == [500, 501, 503, 504]


def test_a_gap_without_one_is_the_links_and_keeps_its_numbers(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    first = run(engine, publisher, vp8(1, key=True), dropped=3)
    then = run(engine, publisher, vp8(2), vp8(9))
    assert after_loss(then) == []
    assert [packet.seq for packet in subscriber.received(first) + subscriber.received(then)] == [500, 501, 508]


def test_each_stream_learns_of_an_overflow_with_its_next_packet(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True, ssrc=77)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    run(engine, publisher, vp8(1, key=True), opus(1))
    result = run(engine, publisher, vp8(2), opus(5), vp8(3), opus(6), dropped=3)
    assert [(arrival.stream, arrival.ext_seq) for arrival in result.arrivals if arrival.flags & 128] == [(1, 2), (3, 5)]
    assert [packet.seq for packet in subscriber.received(result) if packet.ssrc == 77] == [502, 503]


def test_what_redundancy_brings_back_follows_the_gap(engine: Engine) -> None:
    publisher = Publisher(engine, 1, 1)
    subscriber = Subscriber(engine, 2, 2)
    engine.add_stream(StreamEntry(3, 1, 31, SOUND))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True, ssrc=77)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    run(engine, publisher, opus(1, 960))
    payload = red.serialize([(111, 960, b"earlier")], 111, b"newest")
    packet = RtpPacket(63, 9, 9 * 960, 31, payload)
    later = run(engine, publisher, packet, dropped=7)
    assert after_loss(later) == [8]
    assert [packet.seq for packet in subscriber.received(later)] == [502, 503]


def test_filtered_packets_close_the_gap_before_them_too(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.switch_route(1, RouteSource(1, max_temporal=0))
    got = subscriber.received(run(engine, publisher, vp8(1, key=True)))
    got += subscriber.received(
        run(engine, publisher, vp8(8, 100, temporal=1, picture=8), vp8(9, 200, picture=9), dropped=6)
    )
    assert [packet.seq for packet in got] == [500, 501]


def test_a_shed_stream_is_dropped_unread_and_goes_on_with_one_number_left_out(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    got = subscriber.received(run(engine, publisher, vp8(1, key=True)))
    engine.set_shed(1, True)
    shed = run(engine, publisher, vp8(2), vp8(3), vp8(4))
    assert (shed.arrivals, shed.outgoing, engine.drops[Drop.SHED]) == ([], [], 3)
    engine.set_shed(1, False)
    back = run(engine, publisher, vp8(5, key=True), vp8(6))
    assert after_loss(back) == [5]
    assert [packet.seq for packet in got + subscriber.received(back)] == [500, 502, 503]


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets(["127.0.0.1"], 0)
    yield made
    made.close()


def read(pump: Pump, sockets: Sockets, count: int, clock: Callable[[], int] = lambda: 0) -> list[Result]:
    """Read until so many datagrams have come."""
    results = []
    with selectors.DefaultSelector() as selector:
        selector.register(sockets.filenos()[0], selectors.EVENT_READ)
        while pump.datagrams_read < count or pump.backlog:
            assert pump.backlog or selector.select(30)
            results.append(pump.receive_and_forward(clock()))
    return results


def test_what_the_kernel_drops_is_known(engine: Engine, sockets: Sockets) -> None:
    pump = Pump(engine, sockets)
    publisher, _ = one_to_one(engine)
    room = socket.socket(fileno=socket.dup(sockets.filenos()[0]))
    room.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4608)
    with room, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)
        for seq in range(50):
            sender.send(publisher.protect(vp8(seq, key=seq == 0, body=bytes(1000))).data)
        buffers = sockets.receive_buffers()
        assert buffers.dropped > 0 and 0 < buffers.held <= buffers.room
        before = read(pump, sockets, 50 - buffers.dropped)
        sender.send(publisher.protect(vp8(50, body=bytes(1000))).data)
        (after,) = [result for result in read(pump, sockets, 51 - buffers.dropped) if after_loss(result)]
    assert not any(after_loss(result) for result in before)
    assert after_loss(after) == [50]
    assert sockets.receive_buffers().held == 0


def test_sound_passes_while_the_backlog_is_full_of_video(engine: Engine, sockets: Sockets) -> None:
    """However much video waits, the sockets are read: excess video is dropped unread, and audio is not."""
    pump = Pump(engine, sockets, budget=1)
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    for route in range(10, 20):  # so that each packet takes a while
        subscriber.add_route(route)
        engine.switch_route(route, RouteSource(1))
    sound = engine.progress(3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)
        seq = 0
        while pump.drops[Drop.BACKLOG_FULL] + pump.drops[Drop.STALE] < 500:
            for _ in range(200):
                sender.send(publisher.protect(vp8(seq, key=seq == 0)).data)
                seq += 1
            sender.send(publisher.protect(opus(seq // 200)).data)
            pump.receive_and_forward(0)
            assert seq < 20 * BACKLOG_DATAGRAMS
    sent = seq // 200
    for _ in range(seq):
        if not pump.backlog and sound.packets == sent:
            break
        pump.receive_and_forward(0)
    assert (sound.packets, sound.first, sound.highest) == (sent, 1, sent)
    assert sockets.receive_buffers().dropped == 0


def test_of_video_that_waits_too_long_the_whole_stream_ends_until_a_keyframe(engine: Engine, sockets: Sockets) -> None:
    pump = Pump(engine, sockets, budget=1)
    publisher, subscriber = one_to_one(engine)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        engine.set_address(2, receiver.getsockname(), 0)
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)

        def send(*packets: RtpPacket) -> None:
            for packet in packets:
                sender.send(publisher.protect(packet).data)

        send(vp8(0, key=True), *(vp8(seq) for seq in range(1, 300)))
        clock = time.monotonic_ns
        results = [pump.receive_and_forward(clock()), pump.receive_and_forward(clock())]
        time.sleep(1.5 * STALE_NS / 1e9)
        results += read(pump, sockets, 300, clock)
        stale = pump.drops[Drop.STALE]
        send(vp8(300), vp8(301))
        results += read(pump, sockets, 302, clock)
        send(vp8(302, key=True), vp8(303))
        results += read(pump, sockets, 304, clock)
        numbers = []
        with contextlib.suppress(BlockingIOError):
            while True:
                numbers.append(rtp.parse(subscriber.srtp.unprotect(receiver.recv(2000))).seq)
    assert 0 < stale < 300
    told = [arrival.flags for result in results for arrival in result.arrivals]
    if engine.name == "compiled":
        assert sum(flags & ArrivalFlag.CUT > 0 for flags in told) == 1
        assert numbers == list(range(500, 500 + 302 - stale))
        assert pump.drops[Drop.WAITING_FOR_KEYFRAME] == 2
    else:
        assert sum(flags & ArrivalFlag.OVERFLOWED > 0 for flags in told) == 1
        assert len(numbers) == 304 - stale


def test_what_came_while_the_process_was_stopped_is_sent_late(engine: Engine, sockets: Sockets) -> None:
    pump = Pump(engine, sockets, budget=1)
    publisher, _ = one_to_one(engine)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)
        for packet in (vp8(0, key=True), *(vp8(seq) for seq in range(1, 300))):
            sender.send(publisher.protect(packet).data)
        time.sleep(1.2 * HELD_NS / 1e9)
        pump.receive_and_forward(time.monotonic_ns())
        assert pump.backlog
        time.sleep(1.2 * STALE_NS / 1e9)
        read(pump, sockets, 300, time.monotonic_ns)
    assert pump.drops[Drop.STALE] == 0


def test_video_that_waits_too_long_is_dropped_although_sound_takes_all_the_time(
    engine: Engine, sockets: Sockets
) -> None:
    pump = Pump(engine, sockets, budget=1)
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(sockets.addresses[0])
        engine.admit_source(1, sender.getsockname(), 0)

        def look(*packets: RtpPacket) -> None:
            for packet in packets:
                sender.send(publisher.protect(packet).data)
            pump.receive_and_forward(time.monotonic_ns())

        look(opus(0), vp8(0, key=True), *(vp8(seq) for seq in range(1, 20)))
        begun, seq = time.monotonic_ns(), 1
        while time.monotonic_ns() - begun < 1.2 * STALE_NS:
            look(opus(seq))
            seq += 1
        look(opus(seq))
    assert engine.progress(3).packets == seq + 1
    assert pump.drops[Drop.STALE] == 20
