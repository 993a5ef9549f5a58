"""Routers with NAT, like a home's or an office's: some hosts of `namespaces.network` become routers.

All networks behind them have the same addresses, as is common. For each destination, a socket gets another port (an
address-and-port-dependent mapping, RFC 4787, section 4.1), and only that destination may answer, which is the hardest
kind of NAT to traverse. Needs root, iproute2 and nftables.
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
_NONE = 9  # a port without a listener
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
    """Create a namespace whose only way out is through `router`, which forwards these ports to it.

    The router also answers at the address `public`, if the network routes that to it.
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
        # The kernel takes a namespace's links away later, which would be in the way of who tries again at once.
        subprocess.run(["ip", "-n", router.name, "link", "delete", "lan"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", inside.name], check=False, capture_output=True)
        subprocess.run([*router.prefix, "nft", "flush", "ruleset"], check=False, capture_output=True)


def forward(namespace: str) -> None:
    """Let a namespace forward packets that are not for itself."""
    in_namespace(namespace, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))


def forget(router: Host) -> None:
    """Let a router forget its connections, as at a restart, so that the next packets get other ports."""
    family = struct.pack("=BBH", socket.AF_INET, 0, 0)  # struct nfgenmsg, without attributes: all
    request = struct.pack("=IHHII", 16 + len(family), _DELETE_CONNECTIONS, _REQUEST | _ACKNOWLEDGE, 1, 0) + family

    def ask() -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
            netlink.send(request)
            (error,) = struct.unpack_from("=i", netlink.recv(4096), 16)
        if error:
            raise OSError(-error, "connections were not forgotten")

    in_namespace(router.name, ask)
