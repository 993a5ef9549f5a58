"""A room on several nodes in simulated time: stages whose nodes are linked."""

from collections.abc import Callable

from sfu.api import signaling
from sfu.api.cascade_link import LinkMessage, decode, encode
from sfu.engine.contract import Datagram
from sfu.formats.rtp import is_rtcp
from sfu.peers.local_endpoint import LocalEndpoint
from sfu.rooms.node import Home
from tests.sfu.rooms.stage import MS, SECOND, Person, RtcClient, Stage, subscribe

HOME, SECONDARY, TERTIARY = "192.0.2.10", "192.0.2.20", "192.0.2.30"
_RECEIVES, _SENDS = 40_000, 50_000


class Wire:
    """The connection from a stage to another node's `port`."""

    def __init__(self, waiting: list[tuple[int, bytes]], port: int) -> None:
        self._waiting = waiting
        self._port = port

    def receive(self, data: bytes, now: int) -> None:
        self._waiting.append((self._port, data))

    def datagrams_to_send(self, now: int) -> list[bytes]:
        return []

    def handle_timer(self, now: int) -> None:
        pass


class Cascaded:
    """Stages by host: HOME holds the room "r", the others are secondary nodes.

    For each of them, a node receives media at port 40000 and sends from 50000, on separate sockets.
    """

    def __init__(self, *secondary: str, **limits: int) -> None:
        self.stages = {host: Stage(**limits) for host in (HOME, *secondary)}
        self.crossed: list[tuple[str, bytes]] = []
        self.said: list[tuple[str, LinkMessage]] = []
        self.lose: Callable[[bytes], bool] = lambda _: False
        self._ways = [way for host in secondary for way in ((HOME, host), (host, HOME))]
        self._numbers: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], list[tuple[int, bytes]]] = {way: [] for way in self._ways}
        for host, stage in self.stages.items():
            stage.node.context.node = host
            if host != HOME:
                stage.node.set_home("r", Home(HOME, "http://home"))
        for (host, other), waiting in self._waiting.items():
            for port in (_RECEIVES, _SENDS):
                self.stages[host].clients[other, port] = Wire(waiting, port)  # type: ignore[assignment]

    def link(self) -> None:
        for host, other in self._ways:
            stage, socket = self.stages[host], self._socket(host, other)
            ends = (
                LocalEndpoint(socket, socket, host, _RECEIVES, _RECEIVES, own=True),
                LocalEndpoint(socket + 1, socket + 1, host, _SENDS, _SENDS),
            )
            self._numbers[host, other] = stage.node.open_link("r", other, *ends, stage.now).number
        self.carry()

    def _socket(self, host: str, other: str) -> int:
        return 5 + 2 * self._ways.index((host, other))

    def carry(self) -> None:
        """Deliver messages and datagrams between the nodes until none is in flight."""
        while any(self._carry_from(host, other) for host, other in self._ways):
            pass

    def _carry_from(self, host: str, other: str) -> bool:
        stage, receiver = self.stages[host], self.stages[other]
        stage.deliver()
        outbox, number = stage.node.context.outbox, self._numbers.get((host, other))
        messages = [message for link, message in outbox.to_links if link == number]
        outbox.to_links = [entry for entry in outbox.to_links if entry[0] != number]
        self.said += [(host, message) for message in messages]
        for message in messages:
            receiver.node.link_message(self._numbers[other, host], decode(encode(message)), receiver.now)
        if number in outbox.links_to_close:
            outbox.links_to_close.remove(number)
            receiver.node.link_lost(self._numbers[other, host], receiver.now)
        waiting = self._waiting[host, other]
        self.crossed += [(host, data) for _, data in waiting]
        socket = self._socket(other, host)
        batch = [
            Datagram(data, (host, _SENDS), socket, receiver.now)
            if port == _RECEIVES
            else Datagram(data, (host, _RECEIVES), socket + 1, receiver.now)
            for port, data in waiting
            if not self.lose(data)
        ]
        moved = bool(messages or waiting)
        waiting.clear()
        if batch:
            result = receiver.node.context.engine.process(batch, receiver.now)
            receiver.node.context.outbox.datagrams += result.outgoing
            receiver.node.receive(result, receiver.now)
        receiver.deliver()
        return moved

    def run(self, nanoseconds: int, step: int = 10 * MS) -> None:
        for _ in range(nanoseconds // step):
            for stage in self.stages.values():
                stage.run(step, step)
            self.carry()

    def rtp_from(self, host: str) -> list[bytes]:
        return [data for sender, data in self.crossed if sender == host and not is_rtcp(data)]


class Pair(Cascaded):
    """Two nodes: `near` is the home of the room, `far` a secondary node. Ann is on the former, Bob on the latter."""

    def __init__(self, **limits: int) -> None:
        super().__init__(SECONDARY, **limits)
        self.near, self.far = self.stages[HOME], self.stages[SECONDARY]
        self.ann, self.bob = self.near.join("ann"), self.far.join("bob")


def watch(pair: Cascaded, stage: Stage, person: Person) -> RtcClient:
    """Subscribe, and answer the resulting offer of slots."""
    client = subscribe(stage, person)
    pair.run(SECOND)
    if len(person.of(signaling.Offer)) > 1:
        subscribe(stage, person, client)
        pair.run(SECOND)
    return client
