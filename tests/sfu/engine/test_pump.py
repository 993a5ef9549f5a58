"""The pump: from sockets through the engine and back, within its budget, audio first."""

import contextlib
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sfu.engine.contract import Drop, Engine, Outgoing, Result, RouteSource, StreamEntry
from sfu.engine.pump import Pump
from sfu.engine.pump_times import PumpTimes
from sfu.engine.sockets import MAX_DATAGRAM, Sockets
from sfu.formats import rtcp, rtp
from tests.sfu.engine.table import AUDIO, VIDEO, Publisher, Subscriber, one_to_one, opus, vp8

_UDP_SEGMENT = 103


class Clock:
    """Jumps by a step at every reading."""

    def __init__(self) -> None:
        self.now = 0
        self.step = 0

    def __call__(self) -> int:
        self.now += self.step
        return self.now


class World:
    """One publisher, one subscriber, real sockets."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sockets = Sockets(["127.0.0.1"], 0)
        self.clock = Clock()
        # An engine that sends by itself uses the kernel's clock: its budget is spent at the first check.
        self.pump = Pump(engine, self.sockets, budget=1, clock=self.clock)
        self.near = self._socket()
        self.far = self._socket()
        self.publisher, self.subscriber = one_to_one(engine)
        engine.admit_source(1, self.near.getsockname(), 0)
        engine.set_address(2, self.far.getsockname(), 0)
        engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
        self.subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
        engine.switch_route(2, RouteSource(3, at_keyframe=False))

    def _socket(self) -> socket.socket:
        entry = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        entry.bind(("127.0.0.1", 0))
        entry.settimeout(30)
        return entry

    def send(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self.near.sendto(data, self.sockets.addresses[0])

    def pump_once(self) -> Result:
        with selectors.DefaultSelector() as selector:
            selector.register(self.sockets.filenos()[0], selectors.EVENT_READ)
            assert selector.select(5)
        return self.pump.receive_and_forward(self.clock.now)

    def drain(self) -> None:
        for entry in (self.near, self.far):
            entry.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    entry.recv(2000)
            entry.settimeout(30)

    def close(self) -> None:
        for entry in (self.near, self.far, self.sockets):
            entry.close()


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    entry = World(engine)
    yield entry
    entry.close()


def protect(publisher: Publisher, *packets: object) -> list[bytes]:
    return [publisher.protect(packet).data for packet in packets]  # type: ignore[arg-type]


def test_forwards(world: World) -> None:
    world.send(*protect(world.publisher, vp8(1, key=True), vp8(2), vp8(3)), b"\0stun")
    leftovers = []
    while world.engine.progress(1).packets < 3 or not leftovers:
        result = world.pump_once()
        leftovers += result.leftovers
        assert result.outgoing == []
    subscriber: Subscriber = world.subscriber
    assert [len(subscriber.srtp.unprotect(world.far.recv(2000))) > 0 for _ in range(3)] == [True] * 3
    assert world.pump.counters["datagrams_out"] == 3
    assert world.pump.counters["forwarded"] == 3
    assert not world.pump.backlog


def test_counts_ecn_marks(world: World) -> None:
    world.near.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 3)
    world.send(*protect(world.publisher, vp8(1, key=True), vp8(2)))
    while world.engine.progress(1).packets < 2:
        world.pump_once()
    assert world.pump.marks == {"ect1": 0, "ect0": 0, "ce": 2}


def test_runs_that_the_kernel_does_not_split_are_taken_apart(world: World) -> None:
    packets = protect(world.publisher, *(vp8(seq) for seq in range(1, 40)))
    strays = [bytes([0, number]) + b"stun" for number in range(60)]
    runs = [packets[:30], strays, packets[30:], strays]
    for run in runs:
        segment = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("@H", len(run[0])))]
        world.near.sendmsg(run, segment, 0, world.sockets.addresses[0])
    leftovers = []
    while world.engine.progress(1).packets < 39 or len(leftovers) < 120:
        leftovers += world.pump_once().leftovers
    assert [leftover.data for leftover in leftovers] == 2 * strays
    assert {leftover.source for leftover in leftovers} == {world.near.getsockname()}
    assert world.pump.datagrams_read == 39 + 120
    world.near.sendto(b"\0" + bytes(5000), world.sockets.addresses[0])
    assert [len(leftover.data) for leftover in world.pump_once().leftovers] == [MAX_DATAGRAM]


def test_keeps_within_its_budget_and_audio_overtakes(world: World) -> None:
    """The budget is spent at once: the remaining video waits, and audio that arrives later overtakes it."""
    for route in range(10, 40):
        world.subscriber.add_route(route)
        world.engine.switch_route(route, RouteSource(1))
    world.send(*protect(world.publisher, *(vp8(seq, key=seq == 0) for seq in range(100))))
    world.clock.step = 100_000
    world.pump_once()
    before = world.pump.counters["datagrams_out"]
    assert 0 < before < 3100
    assert world.pump.backlog
    world.drain()
    world.send(*protect(world.publisher, opus(1)))
    world.pump_once()
    assert world.subscriber.srtp.unprotect(world.far.recv(2000))[1] & 0x7F == 111
    while world.pump.backlog:
        world.pump.receive_and_forward(world.clock.now)
    left_out = world.pump.drops[Drop.STALE] + world.pump.drops.get(Drop.WAITING_FOR_KEYFRAME, 0)  # on a busy machine
    assert world.pump.counters["datagrams_out"] == 1 + 31 * (100 - left_out)
    assert world.pump.drops[Drop.SEND_BUFFER] == 0


class Audience:
    """Forty more audio routes to the subscriber, and the packets received on each."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.got: list[tuple[int, int]] = []
        for route in range(10, 50):
            self.add(route)

    def add(self, route: int) -> None:
        self.world.subscriber.add_route(route, rtx_ssrc=None, is_audio=True)
        self.world.engine.switch_route(route, RouteSource(3, at_keyframe=False))

    def step(self, *seqs: int) -> None:
        """Have these packets sent, and the pump spend its budget once."""
        self.world.send(*protect(self.world.publisher, *(opus(seq, body=b"sound %d" % seq) for seq in seqs)))
        self.world.pump.receive_and_forward(self.world.clock.now)
        self.world.far.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = rtp.parse(self.world.subscriber.srtp.unprotect(self.world.far.recv(2000)))
                self.got.append((packet.ssrc, int(packet.payload.split()[1])))

    def finish(self) -> None:
        while self.world.pump.backlog:
            self.step()

    def by_route(self) -> dict[int, list[int]]:
        """Return the packets of each SSRC, in order."""
        routes: dict[int, list[int]] = {}
        for ssrc, number in self.got:
            routes.setdefault(ssrc, []).append(number)
        return routes


def test_audio_joins_what_its_stream_has_under_way(world: World) -> None:
    """A packet that comes during a fan-out joins at the current route and wraps around; it does not wait."""
    audience = Audience(world)
    audience.step(1)
    served = len(audience.got)
    audience.step(2)
    audience.finish()
    assert list(audience.by_route().values()) == [[1, 2]] * 41
    if world.engine.name == "compiled":
        assert 0 < served < 41
        second = [ssrc for ssrc, number in audience.got if number == 2]
        first = [ssrc for ssrc, number in audience.got if number == 1]
        assert second == first[served:] + first[:served]


def test_many_may_join_and_each_goes_once_and_in_order(world: World) -> None:
    audience = Audience(world)
    for seq in range(1, 151):
        audience.step(seq)
    audience.finish()
    assert list(audience.by_route().values()) == [list(range(1, 151))] * 41


def test_routes_may_come_and_go_amid_a_fan_out(world: World) -> None:
    audience = Audience(world)
    audience.step(1)
    world.engine.remove_route(49)
    audience.add(60)
    audience.step(2)
    audience.finish()
    routes = audience.by_route()
    assert routes.pop(0x1000 + 60) == [2]
    routes.pop(0x1000 + 49, None)
    assert list(routes.values()) == [[1, 2]] * 40


def test_the_table_may_change_while_packets_wait(world: World) -> None:
    for route in range(10, 40):
        world.subscriber.add_route(route)
        world.engine.switch_route(route, RouteSource(1))
    world.send(*protect(world.publisher, *(vp8(seq, key=seq == 0) for seq in range(100))))
    world.clock.step = 10_000_000
    world.pump_once()
    assert world.pump.backlog
    for route in range(20, 30):
        world.engine.remove_route(route)
    world.engine.switch_route(31, None)
    world.pump.receive_and_forward(world.clock.now)
    world.engine.remove_stream(1)
    while world.pump.backlog:
        world.pump.receive_and_forward(world.clock.now)
    world.engine.remove_peer(2)
    world.engine.remove_peer(1)


def test_tells_what_its_steps_cost(world: World) -> None:
    world.send(*protect(world.publisher, vp8(0, key=True)))
    world.pump_once()
    world.pump.release(world.clock.now)
    times = world.pump.times
    assert times.turns == 2
    assert times.total > 0
    assert times.cumulative()[-1] == (None, 2)


def test_a_step_is_counted_by_its_length() -> None:
    times = PumpTimes()
    for spent in (1, 50_000, 50_001, 3_000_000, 1_000_000_000):
        times.add(spent)
    counts = dict(times.cumulative())
    assert (counts[50_000], counts[100_000], counts[2_000_000], counts[4_000_000], counts[None]) == (2, 3, 3, 4, 5)


def test_releases_what_is_paced(world: World) -> None:
    world.engine.set_budget(2, 1_000_000)
    world.send(*protect(world.publisher, *(vp8(seq, key=seq == 0, body=bytes(1000)) for seq in range(10))))
    while world.engine.progress(1).packets < 10:
        world.pump_once()
    while (due := world.pump.next_release()) is not None:
        world.pump.release(due)
    assert [len(world.far.recv(2000)) > 1000 for _ in range(10)] == [True] * 10


def test_what_is_paced_lets_audio_go_first(world: World) -> None:
    world.engine.set_budget(2, 1_000_000)
    world.send(*protect(world.publisher, *(vp8(seq, key=seq == 0, body=bytes(1000)) for seq in range(10))))
    while world.engine.progress(1).packets < 10:
        world.pump_once()
    world.drain()
    audience = Audience(world)
    audience.step(1)
    due = world.pump.next_release()
    assert due is not None
    if world.engine.name == "compiled":
        before = world.pump.counters["datagrams_out"]
        world.pump.release(due)
        assert world.pump.counters["datagrams_out"] == before
        assert world.pump.next_release() == due
    while world.pump.backlog:
        world.pump.receive_and_forward(world.clock.now)
    while (due := world.pump.next_release()) is not None:
        world.pump.release(due)
    assert world.pump.counters["datagrams_out"] == 51


def test_what_is_paced_goes_before_new_video(world: World) -> None:
    """While too much arrives, it would otherwise wait without end."""
    if world.engine.name != "compiled":
        pytest.skip("it releases all that is due at once")
    world.engine.set_budget(2, 1_000_000)
    packets = protect(world.publisher, *(vp8(seq, key=seq == 0, body=bytes(1000)) for seq in range(20)))
    world.send(*packets[:10])
    while world.engine.progress(1).packets < 10:
        world.pump_once()
    before = world.pump.counters["datagrams_out"]
    due = world.pump.next_release()
    assert due is not None
    world.send(*packets[10:])
    world.pump.receive_and_forward(due)
    assert world.pump.counters["datagrams_out"] > before


def test_those_for_whom_packets_wait_take_turns(world: World) -> None:
    """With too little time for all, none waits without end."""
    if world.engine.name != "compiled":
        pytest.skip("it releases all that is due at once")
    another = Subscriber(world.engine, 3, 3)
    another.add_route(3)
    world.engine.switch_route(3, RouteSource(1))
    world.engine.set_address(3, world.near.getsockname(), 0)
    for peer in (2, 3):
        world.engine.set_budget(peer, 1_000_000)
    world.send(*protect(world.publisher, *(vp8(seq, key=seq == 0, body=bytes(1000)) for seq in range(60))))
    while world.engine.progress(1).packets < 60:
        world.pump_once()
    while world.pump.backlog:
        world.pump.receive_and_forward(world.clock.now)
    world.drain()
    now = world.pump.next_release()
    assert now is not None
    for _ in range(4):
        now += 50_000_000
        world.pump.receive_and_forward(now)
    for receiver in (world.far, world.near):
        receiver.settimeout(5)
        assert len(receiver.recv(2000)) > 1000, "it never had its turn"


def test_an_engine_polls_by_itself_until_there_is_something_to_hear_at_once(world: World) -> None:
    if not world.pump.attends:
        pytest.skip("an engine without input and output of its own")

    def attend(seconds: float, waker: int = -1) -> Result:
        now = time.monotonic_ns()
        return world.pump.attend(now, now + round(seconds * 1e9), 200_000, waker=waker)

    report = rtcp.serialize([rtcp.SenderReport(11, 5 << 32, 960, 1, 4)])

    def pass_on() -> None:
        for seq in range(2, 22):
            world.send(*protect(world.publisher, vp8(seq)), world.publisher.srtp.protect_rtcp(report))
            world.far.recv(2000)  # each is forwarded before the next is sent
        world.send(*protect(world.publisher, vp8(30)))

    world.send(*protect(world.publisher, vp8(1, key=True)))
    assert [arrival.ext_seq for arrival in attend(60).arrivals] == [1]
    world.far.recv(2000)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(pass_on)
        result = attend(60)
        sending.result()
    assert len(result.leftovers) == 20
    assert [(arrival.ext_seq, arrival.gap) for arrival in result.arrivals] == [(30, 8)]
    goodbye = world.publisher.srtp.protect_rtcp(report + b"\x81\xcb\0\1\0\0\0\x0b")
    for urgent in (b"\0stun", goodbye):
        world.send(urgent)
        assert len(attend(60).leftovers) == 1
    before = world.pump.rested
    begun = time.monotonic_ns()
    assert attend(0.02) == Result()
    assert time.monotonic_ns() - begun >= 20_000_000
    assert world.pump.rested - before >= 10_000_000
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert attend(0.02, ours.fileno()) == Result()
        theirs.send(b"the loop has something to do")
        assert attend(60, ours.fileno()) == Result()


def test_drops_of_both_are_told(world: World) -> None:
    world.send(b"\xff")
    world.pump_once()
    world.pump.send([Outgoing(b"x", ("255.255.255.255", 9), 0)])
    assert world.pump.drops[Drop.NOT_WEBRTC] == 1
    assert world.pump.drops[Drop.SEND_ERROR] == 1


def test_one_bad_address_harms_nobody_else(engine: Engine) -> None:
    """One unroutable subscriber among 100: a broadcast address without leave to broadcast."""
    with contextlib.ExitStack() as stack:
        sockets = Sockets(["127.0.0.1"], 0)
        stack.callback(sockets.close)
        pump = Pump(engine, sockets)
        near = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        near.bind(("127.0.0.1", 0))
        publisher = Publisher(engine, 1, 1)
        engine.admit_source(1, near.getsockname(), 0)
        engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 12))
        far = []
        for peer in range(10, 110):
            subscriber = Subscriber(engine, peer, peer)
            subscriber.add_route(peer)
            engine.switch_route(peer, RouteSource(1))
            receiver = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            receiver.bind(("127.0.0.1", 0))
            receiver.connect(sockets.addresses[0])  # packets for the port's previous owner are ignored
            receiver.settimeout(30)
            engine.set_address(peer, ("255.255.255.255", 9) if peer == 50 else receiver.getsockname(), 0)
            far.append((subscriber, receiver))
        for seq in range(4):
            near.sendto(publisher.protect(vp8(seq, key=seq == 0)).data, sockets.addresses[0])
        while engine.progress(1).packets < 4 or pump.backlog:
            pump.receive_and_forward(time.monotonic_ns())
        for subscriber, receiver in far:
            if subscriber.peer != 50:
                sizes = [len(subscriber.srtp.unprotect(receiver.recv(2000))) for _ in range(4)]
                assert len(sizes) == 4
        assert pump.drops[Drop.SEND_ERROR] == 4
        assert pump.counters["datagrams_out"] == 99 * 4


_IN_A_NAMESPACE = """
import socket, sys, time
from sfu.engine import create_engine
from sfu.engine.contract import RouteSource, StreamEntry
from sfu.engine.pump import Pump
from sfu.engine.sockets import MAX_DATAGRAM, Sockets
from tests.sfu.engine.table import VIDEO, Publisher, Subscriber, vp8
engine = create_engine(sys.argv[1])
sockets = Sockets(["127.0.0.1"], 0)
pump = Pump(engine, sockets)
near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
for end in (near, far):
    end.bind(("127.0.0.1", 0))
    end.settimeout(30)
publisher = Publisher(engine, 1, 1)
engine.admit_source(1, near.getsockname(), 0)
engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 12))
subscriber = Subscriber(engine, 2, 2)
subscriber.add_route(1)
engine.switch_route(1, RouteSource(1))
engine.set_address(2, far.getsockname(), 0)
for batch in range(2):
    for seq in range(4 * batch, 4 * batch + 4):
        near.sendto(publisher.protect(vp8(seq, key=seq == 0, body=bytes(1000))).data, sockets.addresses[0])
    while engine.progress(1).packets < 4 * (batch + 1):
        pump.receive_and_forward(time.monotonic_ns())
    assert [len(subscriber.srtp.unprotect(far.recv(2000))) > 1000 for _ in range(4)] == [True] * 4
assert not any(pump.drops.values()), pump.drops
assert pump.counters["datagrams_out"] == 8
"""


def test_falls_back_where_runs_are_refused(engine: Engine) -> None:
    """Segments longer than the link's MTU are refused; singly, the same datagrams go in fragments."""
    script = f'ip link set lo mtu 700 up && exec "{sys.executable}" -c "$0" {engine.name}'
    mapped = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    finished = subprocess.run(
        ["unshare", *mapped, "--net", "sh", "-c", script, _IN_A_NAMESPACE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_a_socket_opened_besides_is_read_when_it_is_ready(world: World) -> None:
    local, port = world.sockets.open(0)
    world.engine.admit_any(1, local)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.sendto(world.publisher.protect(vp8(1, key=True)).data, ("127.0.0.1", port))
        with selectors.DefaultSelector() as selector:
            selector.register(world.sockets.filenos()[local], selectors.EVENT_READ)
            assert selector.select(5)
    assert world.pump.receive_and_forward(0).arrivals == []
    world.pump.ready(local)
    (arrival,) = world.pump.receive_and_forward(0).arrivals
    assert arrival.ext_seq == 1
    assert world.far.recv(2000)
    world.sockets.shut(local)
    assert world.pump.receive_and_forward(0).arrivals == []
