"""DTLS over a seeded network that loses, delays, reorders and duplicates datagrams, in simulated time."""

import heapq
import random

import pytest

from sfu.machines.dtls.association import HANDSHAKE_NS, Dtls, DtlsState
from sfu.machines.dtls.certificate import generate_certificate
from sfu.machines.negotiation.agreement import DtlsRole

CLIENT = generate_certificate()
SERVER = generate_certificate()
MS = 1_000_000


class Network:
    """Two ends and the datagrams in flight between them, in simulated time."""

    def __init__(self, seed: int, loss: float = 0.0, duplication: float = 0.0, jitter_ms: int = 0) -> None:
        self.chance = random.Random(seed)
        self.loss, self.duplication, self.jitter = loss, duplication, jitter_ms * MS
        self.ends = [Dtls(CLIENT), Dtls(SERVER)]
        self.under_way: list[tuple[int, int, int, bytes]] = []
        self.now = 0
        self.sent = 0
        self.ends[1].start(DtlsRole.SERVER, CLIENT.fingerprints, 0)
        self.ends[0].start(DtlsRole.CLIENT, SERVER.fingerprints, 0)

    def collect(self) -> None:
        for index, end in enumerate(self.ends):
            for datagram in end.datagrams_to_send():
                self.sent += 1
                copies = 0 if self.chance.random() < self.loss else 1 + (self.chance.random() < self.duplication)
                for _ in range(copies):
                    arrival = self.now + 20 * MS + self.chance.randrange(self.jitter + 1)
                    heapq.heappush(self.under_way, (arrival, self.chance.random(), 1 - index, datagram))

    def run(self) -> None:
        """Until both ends have come to a state that lasts."""
        while any(end.state is DtlsState.HANDSHAKING for end in self.ends):
            self.collect()
            due = [timer for end in self.ends if (timer := end.timer()) is not None]
            if self.under_way and self.under_way[0][0] <= min(due):
                self.now, _, receiver, datagram = heapq.heappop(self.under_way)
                self.ends[receiver].receive(datagram, self.now)
                continue
            self.now = max(self.now, min(due))
            for end in self.ends:
                if (timer := end.timer()) is not None and timer <= self.now:
                    end.handle_timer(self.now)

    @property
    def connected(self) -> bool:
        return all(end.state is DtlsState.CONNECTED for end in self.ends)


def test_a_clean_network_takes_two_round_trips() -> None:
    network = Network(0)
    network.run()
    assert network.connected
    assert network.now == 4 * 20 * MS
    assert network.sent <= 6


@pytest.mark.parametrize("seed", range(25))
def test_lost_reordered_and_repeated_flights(seed: int) -> None:
    network = Network(seed, loss=0.3, duplication=0.3, jitter_ms=60)
    network.run()
    assert network.connected, network.now
    client, server = network.ends
    assert client.keys is not None
    assert server.keys is not None
    assert client.keys.send == server.keys.receive
    assert client.keys.receive == server.keys.send
    assert network.now < HANDSHAKE_NS
    assert network.sent < 150


@pytest.mark.parametrize("lost", range(4))
def test_the_loss_of_any_one_flight_costs_one_repetition(lost: int) -> None:
    network = Network(0)
    flights = 0
    original = network.collect

    def collect() -> None:
        nonlocal flights
        before = len(network.under_way)
        original()
        if len(network.under_way) > before:
            if flights == lost:
                network.under_way.clear()
            flights += 1

    network.collect = collect
    network.run()
    assert network.connected
    assert network.now < 600 * MS


def test_a_dead_network_ends_in_a_timeout() -> None:
    network = Network(0, loss=1.0)
    network.run()
    assert [end.close_reason for end in network.ends] == ["handshake_timeout"] * 2
    assert network.now == HANDSHAKE_NS
