"""Configuration of one sfu process: plain values, read by the `parley` package from flags, environment and TOML."""

from dataclasses import dataclass, field
from pathlib import Path

from foundation.etcd import EtcdConfig
from sfu.server.port_share import PortShare


@dataclass(frozen=True, slots=True, kw_only=True)
class SfuConfig:
    """Configuration of one sfu node. A port of 0 lets the system allocate one; `tcp_port` 0 is `udp_port`.

    Media come by UDP, or by ICE-TCP from clients that cannot use UDP; with a `tcp_port` of -1 by UDP alone.

    `node_secret` authenticates the parts to each other in both directions. `addresses` are the local addresses to
    offer; empty means every address of the machine but link-local ones. `public_addresses` are further hosts to
    announce (names are resolved at the start), for machines behind a one-to-one NAT. `sink_socket` is the path on which
    recorder and inference connect; None serves no sinks. `flight_dir` is where a room's flight recorder is dumped when
    something fails in it; None keeps no dumps. `engine` is "python" or "compiled"; None leaves it to PARLEY_SFU_ENGINE,
    else takes the fastest there is. With `estimate_bandwidth` each subscriber gets what its link can carry; without,
    what it asks for. Plain transports may be opened to public addresses and to those in `plain_networks` (CIDR
    notation), `max_transports` in a room; those that receive have ports from the first to the last of `plain_ports`,
    (0, 0) leaves them to the system. With `transcode_sound`, telephone codecs are converted on them, in a process of
    its own; without, they are refused.

    Signaling over WebTransport uses `webtransport_port` (-1 for none) on the addresses of media, with the certificate
    from the files or, without, one that clients know by its hash.

    `port_share` is what the node has of a UDP port that other workers have too; None binds `udp_port` itself.

    `advertised_host` is where control and the gateway reach this node; "" is `http_host`. With `etcd` the node
    registers there. Before it stops, the node waits `drain_seconds` for its rooms to end and has the rest placed on
    other nodes; None stops at once.
    """

    node_secret: str = field(repr=False)
    node: str = "sfu-1"
    control_url: str = "http://127.0.0.1:8082"
    udp_port: int = 8810
    tcp_port: int = 0
    addresses: tuple[str, ...] = ()
    public_addresses: tuple[str, ...] = ()
    webtransport_port: int = -1
    webtransport_certificate: Path | None = None
    webtransport_key: Path | None = None
    signaling_host: str = "127.0.0.1"
    signaling_port: int = 8081
    http_host: str = "127.0.0.1"
    http_port: int = 8084
    sink_socket: Path | None = None
    flight_dir: Path | None = None
    engine: str | None = None
    estimate_bandwidth: bool = True
    plain_networks: tuple[str, ...] = ()
    plain_ports: tuple[int, int] = (0, 0)
    max_transports: int = 32
    transcode_sound: bool = True
    audio_slots: int = 6
    max_participants: int = 200
    resume_seconds: float = 15.0
    desired_state_seconds: float = 5.0
    advertised_host: str = ""
    region: str = ""
    etcd: EtcdConfig | None = None
    drain_seconds: float | None = None
    port_share: PortShare | None = None
