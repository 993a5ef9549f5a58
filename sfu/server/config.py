"""Configuration of one sfu process: plain values, which the `parley` package reads from flags, environment and TOML."""

from dataclasses import dataclass, field
from pathlib import Path

from foundation.etcd import EtcdConfig
from foundation.part_tls import PartTls
from sfu.server.port_share import PortShare


@dataclass(frozen=True, slots=True, kw_only=True)
class SfuConfig:
    """Configuration of one sfu node. For a port of 0 the system chooses one.

    Media uses UDP, or ICE-TCP for clients that cannot use UDP; a `tcp_port` of 0 means the number of `udp_port`, and
    -1 turns ICE-TCP off.

    `node_secret` authenticates the parts to each other in both directions, as does `tls`, if given.

    `addresses` are the local addresses to
    offer; empty means every address of the machine except link-local ones. `public_addresses` are further hosts to
    announce (names are resolved at the start), for machines behind a one-to-one NAT. `sink_socket` is the path on which
    recorder and inference connect; with None no sinks are served. Flight recorders are dumped into `flight_dir` on
    failures; with None no dumps are kept. `engine` is "python" or "compiled"; None leaves the choice to
    PARLEY_SFU_ENGINE, else takes the fastest available. With `estimate_bandwidth` each subscriber gets what its link
    can carry; without, what it asks for. Plain transports may be opened to public addresses and to those in
    `plain_networks` (CIDR notation), at most `max_transports` in a room. Receiving ones have ports from the first to
    the last of `plain_ports`; (0, 0) leaves them to the system. With `transcode_sound`, a separate process converts
    telephone codecs on them; without, these are refused.

    Signaling over WebTransport uses `webtransport_port` (-1 for none) on the addresses of media, with the certificate
    from the files or, without files, one that clients identify by its hash.

    `port_share` is the node's share of a UDP port that other workers use too; with None the node binds `udp_port`
    itself.

    `advertised_host` is the address at which control and the gateway reach this node, by default `http_host`. With
    `etcd` the node registers there. Before it stops, the node waits `drain_seconds` for its rooms to end and has the
    rest placed on other nodes; with None it stops at once.
    """

    node_secret: str = field(repr=False)
    tls: PartTls | None = None
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
