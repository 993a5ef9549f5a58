"""Our SCTP associations with each other over a link in simulated time, and with tampered packets."""

import random
from collections.abc import Callable

import pytest
from aiortc.rtcsctptransport import RTCSctpTransport
from google_crc32c import value as crc32c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.machines import sctp_association
from sfu.machines.sctp_association import SctpAssociation, SctpMessage

MS = 1_000_000
DELAY = 20 * MS


class Pair:
    """Two associations and the packets in flight between them."""

    def __init__(self, lose: Callable[[], bool] = lambda: False) -> None:
        self.now = 10**15
        self.ends = (SctpAssociation(), SctpAssociation())
        self.lose = lose
        self.wire: list[tuple[int, SctpAssociation, bytes]] = []
        self.got: list[SctpMessage] = []
        for end in self.ends:
            end.start(self.now)

    def run(self, ms: int) -> None:
        for _ in range(ms):
            self.now += MS
            for end, other in (self.ends, self.ends[::-1]):
                at = end.timer()
                if at is not None and at <= self.now:
                    end.handle_timer(self.now)
                for packet in end.packets_to_send():
                    assert len(packet) <= 1163  # 1200 with a DTLS record around it
                    if not self.lose():
                        self.wire.append((self.now + DELAY, other, packet))
            while self.wire and self.wire[0][0] <= self.now:
                _, end, packet = self.wire.pop(0)
                end.receive(packet, self.now)
            self.got += self.ends[1].messages()


def test_both_begin_and_are_established_within_two_round_trips() -> None:
    pair = Pair()
    pair.run(4 * DELAY // MS + 2)
    assert [end.established for end in pair.ends] == [True, True]


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
def test_what_is_reliable_arrives_whole_and_in_order(loss: float) -> None:
    rng = random.Random(5)
    pair = Pair(lambda: rng.random() < loss)
    pair.run(10_000 if loss else 100)
    sent = [SctpMessage(0, 53, bytes([number]) * (number * 50 + 1)) for number in range(60)]
    for message in sent:
        pair.ends[0].send(message, pair.now)
    while len(pair.got) < len(sent) and pair.now < 10**15 + 120_000 * MS:
        pair.run(100)
    assert pair.got == sent
    pair.lose = lambda: False
    pair.run(3000)
    assert pair.ends[0].buffered == 0


def test_streams_take_turns() -> None:
    pair = Pair()
    pair.run(100)
    for _ in range(30):
        pair.ends[0].send(SctpMessage(0, 53, bytes(20_000)), pair.now)
    pair.ends[0].send(SctpMessage(1, 53, b"urgent"), pair.now, ordered=False, max_retransmits=0)
    pair.run(600)
    assert [message.stream for message in pair.got].index(1) < 5


def test_what_is_given_to_the_library_is_a_window() -> None:
    pair = Pair()
    pair.run(100)
    pair.lose = lambda: True
    for _ in range(100):
        pair.ends[0].send(SctpMessage(0, 53, bytes(50_000)), pair.now)
    pair.run(5000)
    library = pair.ends[0]._library
    assert len(library._sent_queue) + len(library._outbound_queue) < sctp_association.WINDOW_CHUNKS + 60
    assert pair.ends[0].buffered == 100 * 50_000
    pair.ends[0].reset(0, pair.now)
    assert pair.ends[0].buffered < 400_000


def test_a_reset_stream_is_closed_at_both_ends() -> None:
    pair = Pair()
    pair.run(100)
    pair.ends[0].reset(0, pair.now)
    pair.run(200)
    assert (pair.ends[0].resets(), pair.ends[1].resets()) == ([0], [0])
    pair.ends[0].send(SctpMessage(1, 53, b"on"), pair.now)
    pair.run(100)
    assert pair.got == [SctpMessage(1, 53, b"on")]


def test_the_other_users_of_the_library_keep_theirs() -> None:
    assert sctp_association._library.RTCSctpTransport is not RTCSctpTransport
    assert RTCSctpTransport.__init__.__globals__["asyncio"].__name__ == "asyncio"


def checked(packet: bytes) -> bytes:
    packet = packet[:8] + bytes(4) + packet[12:]
    return packet[:8] + crc32c(packet).to_bytes(4, "little") + packet[12:]


@settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(st.integers(0, 2**32), st.integers(0, 40))
def test_packets_that_were_tampered_with_end_the_association_at_worst(seed: int, begin: int) -> None:
    rng = random.Random(seed)
    pair = Pair(lambda: rng.random() < 0.1)
    for end in pair.ends:
        end.send(SctpMessage(0, 53, bytes(3000)), pair.now)
    victim = pair.ends[1]
    for step in range(150):
        pair.run(2)
        pair.ends[0].send(SctpMessage(step % 3, 53, bytes(rng.randrange(1, 2500))), pair.now, max_retransmits=0)
        if step > begin and pair.wire:
            at, end, packet = pair.wire.pop(rng.randrange(len(pair.wire)))
            spoiled = bytearray(packet)
            for _ in range(rng.randrange(1, 4)):
                spoiled[rng.randrange(12, len(spoiled))] = rng.choice((0, 1, 4, 127, 255, rng.randrange(256)))
            pair.wire.insert(0, (at, end, checked(bytes(spoiled))))
    assert victim.buffered < 1_000_000
    assert victim.close_reason in ("", "aborted", "protocol_error")
    assert len(victim._timers) <= 4
