"""Sockets for plain transports, and their permitted addresses.

Outgoing packets leave from one socket per local address, which all transports share. It is separate from ICE's, so a
plain transport can never claim the address of somebody's peer. Each receiving transport has its own sockets.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from sfu.api.refusal import Code, Refused
from sfu.engine.sockets import Sockets
from sfu.peers.local_endpoint import LocalEndpoint
from sfu.server.driver import Driver

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
_TRIES = 16


class FarEnds:
    """Addresses that transports may be opened to: those in the given networks (CIDR notation), and public ones.

    Without networks there are no transports at all. The operator vouches for the networks; any other public address
    must prove that it listens (peers.unproved). So a host of a meeting cannot make the node send to its neighbours, or
    to somebody who did not ask for it.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        """Raise ValueError for anything but networks."""
        self._networks: list[IpNetwork] = [ipaddress.ip_network(entry) for entry in networks]

    def check_open(self) -> None:
        """Raise Refused if the operator allows no transports."""
        if not self._networks:
            raise Refused(Code.TRANSPORTS_OFF, "This server has no plain transports: transport_networks is not set.")

    def check(self, address: str) -> tuple[str, bool]:
        """Return the address in its usual form, and True if the operator vouches for it.

        Raises Refused for an invalid address, or one that is not permitted.
        """
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError as error:
            raise Refused(Code.BAD_MESSAGE, "`address` must be an IP address.") from error
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        plain: IpAddress = mapped or parsed
        permitted = plain.is_global and not plain.is_multicast
        is_vouched_for = any(plain in network for network in self._networks)
        if not permitted and not is_vouched_for:
            raise Refused(Code.NOT_PERMITTED, "Transports to this address are not allowed.")
        if isinstance(plain, ipaddress.IPv6Address) and plain.scope_id is not None:
            raise Refused(Code.BAD_MESSAGE, "`address` must not have a zone.")
        return str(plain), is_vouched_for


class PlainSockets:
    """Allocates local endpoints of transports. `ports` bounds the ports of receiving ones; with (0, 0) the system
    chooses. `public` are the addresses that the node announces besides its own.
    """

    def __init__(
        self, driver: Driver, sockets: Sockets, public: Sequence[str] = (), ports: tuple[int, int] = (0, 0)
    ) -> None:
        self._driver = driver
        self._addresses = sockets.addresses
        self._public = public
        self._ports = ports
        self._next_port = ports[0]
        self._shared: dict[int, tuple[int, int]] = {}

    def to_send(self, address: str) -> LocalEndpoint:
        """Return a local endpoint for sending to an address; raises Refused if there is none."""
        beside = self._route_to(address)
        if beside not in self._shared:
            self._shared[beside] = self._open(beside, 0)
        local, port = self._shared[beside]
        return LocalEndpoint(local, local, self._name(beside, address), port, port)

    def to_receive(self, sender: str | None, *, mux: bool) -> LocalEndpoint:
        """Return a separate endpoint that a sender (None: any) can reach; raises Refused if there is none."""
        beside = self._route_to(sender) if sender is not None else 0
        name = self._name(beside, sender)
        if mux:
            local, port = self._open_one(beside)
            return LocalEndpoint(local, local, name, port, port, own=True)
        for _ in range(_TRIES):
            local, port = self._open_one(beside)
            try:
                rtcp_local, rtcp_port = self._driver.open_socket(beside, port + 1)
            except OSError:
                self._driver.shut_socket(local)
                continue
            return LocalEndpoint(local, rtcp_local, name, port, rtcp_port, own=True)
        raise Refused(Code.FULL, "No two consecutive ports are free.")

    def give_back(self, end: LocalEndpoint) -> None:
        """Close the sockets of an endpoint for which no transport was opened."""
        for local in end.sockets:
            self._driver.shut_socket(local)

    def _open_one(self, beside: int) -> tuple[int, int]:
        first, last = self._ports
        if not first:
            return self._open(beside, 0)
        for _ in range(first, last + 1):
            port = self._next_port
            self._next_port = port + 1 if port < last else first
            try:
                return self._driver.open_socket(beside, port)
            except OSError:
                continue
        raise Refused(Code.FULL, "All ports for plain transports are in use.")

    def _open(self, beside: int, port: int) -> tuple[int, int]:
        try:
            return self._driver.open_socket(beside, port)
        except OSError as error:
            raise Refused(Code.FULL, "All sockets of this node are in use.") from error

    def _route_to(self, address: str) -> int:
        """Return the socket with the address that the kernel would send from, else the first of the family."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        fitting = [local for local, (host, _) in enumerate(self._addresses) if (":" in host) == (":" in address)]
        if not fitting:
            raise Refused(Code.NOT_PERMITTED, "This node has no address of that family.")
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                source = probe.getsockname()[0]
        except OSError:
            return fitting[0]
        return next((local for local in fitting if self._addresses[local][0] == source), fitting[0])

    def _name(self, beside: int, far: str | None) -> str:
        """Return the address at which the far end sees us: behind a one-to-one NAT, the announced one."""
        own = self._addresses[beside][0]
        near = far is not None and not ipaddress.ip_address(far).is_global
        if near or ipaddress.ip_address(own).is_global:
            return own
        return next((entry for entry in self._public if (":" in entry) == (":" in own)), own)
