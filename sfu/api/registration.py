"""A node's record of itself: its addresses, its load, and whether it accepts new rooms.

In etcd it is the value of `/parley/nodes/{node}` under a lease that the node renews; without etcd control asks for it
(`GET /node/v1/status`). `boot` is random per process, as in facts.
"""

import msgspec

NODES_PREFIX = "/parley/nodes/"
BOOT_HEADER = "Parley-Boot"  # carries a node's `boot` in its response to a WebSocket handshake
MOVING_SECONDS = 8
"""Seconds for which a node still forwards media of a room that has moved, while participants connect to the next."""


class NodeLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The recent load of a node.

    `cpu` is the share of one core that the process used, 0 to 1; `lag_ms` is the shortest time that input, or the work
    that follows from it, has to wait; `packets` is datagrams in and out per second.
    """

    cpu: float = 0.0
    lag_ms: float = 0.0
    packets: int = 0
    participants: int = 0
    rooms: int = 0


class RoomLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A live room of a node (`GET /node/v1/load`). `weight` grows with its packets in and out.

    Only weights from the same node are comparable. `nodes` is the number of nodes that the room is on. `kbps_in` and
    `kbps_out` are the media that its participants here send and get, in kbit/s.
    """

    room: str
    participants: int
    weight: float
    nodes: int = 1
    kbps_in: int = 0
    kbps_out: int = 0


class RoomLoads(msgspec.Struct, frozen=True, kw_only=True):
    """The live rooms of a node, with their cost."""

    rooms: list[RoomLoad]


class WebTransportEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a node's signaling over WebTransport, to which browsers connect directly.

    `host` is a public address of the node, "" if none is configured. `hash` is the base64 of its certificate's SHA-256,
    "" if browsers trust the certificate.
    """

    port: int
    host: str = ""
    hash: str = ""


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A node. Both addresses are private: only control and the gateway reach them.

    `signaling_url` is a WebSocket address (ws://10.0.0.7:8081/ws/signaling), `http_url` the base of /whip, /whep and
    /node/v1. A `draining` node keeps its rooms and gets no new ones. So does an `overloaded` node, until it has kept up
    again for some seconds.
    """

    node: str
    signaling_url: str
    http_url: str
    boot: str = ""
    region: str = ""
    draining: bool = False
    overloaded: bool = False
    load: NodeLoad = NodeLoad()
    webtransport: WebTransportEndpoint | None = None


class DrainWish(msgspec.Struct, frozen=True, kw_only=True):
    """The body that control PUTs to `/node/v1/drain`. After `grace_seconds` the remaining rooms move; with None they
    stay until they end.
    """

    draining: bool
    grace_seconds: float | None = None


class Evacuated(msgspec.Struct, frozen=True, kw_only=True):
    """Control's answer to a node that asks to be emptied: the rooms now placed on other nodes."""

    moved: list[str]


class NodeStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A node as control knows it."""

    record: NodeRecord
    living: bool


class NodeStandings(msgspec.Struct, frozen=True, kw_only=True):
    """Control's answer to a request for the nodes (`GET /internal/v1/nodes`)."""

    nodes: list[NodeStanding]


def encode_record(record: NodeRecord) -> bytes:
    """Return the record as JSON."""
    return msgspec.json.encode(record)


def decode_record(data: bytes | str) -> NodeRecord:
    """Return the record that `encode_record` wrote; raises ValueError for anything else."""
    return msgspec.json.decode(data, type=NodeRecord)
