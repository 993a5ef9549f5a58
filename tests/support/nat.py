"""Routers that translate addresses, as a home's or an office's does: hosts of `namespaces.network` turned into some.

Every network behind one has the same addresses, as so many have. To each destination a socket appears with another
port (an address-and-port-dependent mapping, RFC 4787, section 4.1), and only who was written to may answer: the kind
that is hardest to get through. Needs root, iproute2 and nftables.
"""

import contextlib
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.namespaces import Host, in_namespace, ip, up

INSIDE, GATEWAY = "192.168.1.2", "192.168.1.1"
_NETLINK_NETFILTER = 12
_DELETE_CONNECTIONS = 1 << 8 | 2  # IPCTNL_MSG_CT_DELETE of NFNL_SUBSYS_CTNETLINK
_REQUEST, _ACKNOWLEDGE = 1, 4
_NONE = 9  # a port on which nobody listens
_RULES = """
table ip nat {
  chain out { type nat hook postrouting priority srcnat; oifname "eth0" masquerade fully-random; }
  chain in {
    type nat hook prerouting priority dstnat;
    iifname "eth0" meta l4proto { tcp, udp } th dport { PORTS } dnat to INSIDE;
  }
}
table ip guard {
  chain through {
    type filter hook forward priority filter; policy drop;
    iifname "lan" accept
    ct state established,related accept
    ct status dnat accept
  }
}
"""


@contextlib.contextmanager
def behind(router: Host, ports: tuple[int, ...] = (), public: str | None = None) -> Iterator[Host]:
    """Make a namespace whose only way out is through `router`, which lets these of its ports lead there.

    The router answers to the address `public` too, if the network leads that to it.
    """
    inside = Host(f"{router.name}-lan", INSIDE, router.server_address)
    try:
        ip("netns", "add", inside.name)
        ip("link", "add", "lan", "netns", router.name, "type", "veth", "peer", "name", "eth0", "netns", inside.name)
        ip("-n", router.name, "address", "add", f"{GATEWAY}/24", "dev", "lan")
        up("lan", router.name)
        ip("-n", inside.name, "link", "set", "lo", "up")
        ip("-n", inside.name, "address", "add", f"{INSIDE}/24", "dev", "eth0")
        up("eth0", inside.name)
        ip("-n", inside.name, "route", "add", "default", "via", GATEWAY)
        if public:
            ip("-n", router.name, "address", "add", f"{public}/32", "dev", "eth0")
        rules = _RULES.replace("PORTS", ", ".join(map(str, ports or (_NONE,)))).replace("INSIDE", INSIDE)
        subprocess.run([*router.prefix, "nft", "-f", "-"], input=rules, text=True, check=True)
        forward(router.name)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", inside.name], check=False, capture_output=True)
        subprocess.run([*router.prefix, "nft", "flush", "ruleset"], check=False, capture_output=True)


def forward(namespace: str) -> None:
    """Have a namespace hand on what is not for itself."""
    in_namespace(namespace, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))


def forget(router: Host) -> None:
    """Have a router lose what it knows of connections, as by a restart: the next packets get other ports."""
    family = struct.pack("=BBH", socket.AF_INET, 0, 0)  # struct nfgenmsg; nothing after it names one connection: all go
    request = struct.pack("=IHHII", 16 + len(family), _DELETE_CONNECTIONS, _REQUEST | _ACKNOWLEDGE, 1, 0) + family

    def ask() -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
            netlink.send(request)
            (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
        if error:
            raise OSError(-error, "connections were not forgotten")

    in_namespace(router.name, ask)
