"""Hosts for tests: network namespaces joined to a server's by veth pairs, with no other interface but loopback.

A browser that needs a non-loopback address (Firefox always) runs in one. Needs root and iproute2.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_ETC = Path("/etc/netns")  # what `ip netns exec` mounts over /etc, see ip-netns(8)
_counter = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace with one address towards the server. `prefix` is the argv that runs a command in it."""

    name: str
    address: str
    server_address: str

    @property
    def prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]


@dataclass(frozen=True, slots=True)
class Network:
    """A server namespace and its hosts. This process reaches the server at `server_address`."""

    server: str
    hosts: tuple[Host, ...]
    server_address: str

    @property
    def outer_address(self) -> str:
        """The address of this process for the server."""
        return self.server_address.rpartition(".")[0] + ".1"

    @property
    def server_prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.server]


@contextlib.contextmanager
def network(hosts: int, names: Mapping[str, str] | None = None) -> Iterator[Network]:
    """Make a server namespace and `hosts` others, each with a veth pair to it; everything is removed at the end.

    Another pair leads to this process's own namespace. `names` are addresses by host name.
    """
    number = next(_counter)
    tag = f"{os.getpid()}-{number}"
    server = f"parley-s-{tag}"
    outer = f"pv{os.getpid() % 100000}x{number}"
    made = [server]
    held, subnet = _free_subnet()
    try:
        ip("netns", "add", server)
        ip("-n", server, "link", "set", "lo", "up")
        rows = []
        for index in range(hosts):
            host = Host(f"parley-h{index}-{tag}", f"{subnet}.{index}.2", f"{subnet}.{index}.1")
            ip("netns", "add", host.name)
            made.append(host.name)
            _join(server, host, f"s{index}")
            if names:
                _name(host, names)
            rows.append(host)
        ip("link", "add", outer, "type", "veth", "peer", "name", "outer", "netns", server)
        ip("address", "add", f"{subnet}.250.1/24", "dev", outer)
        up(outer)
        ip("-n", server, "address", "add", f"{subnet}.250.2/24", "dev", "outer")
        up("outer", server)
        yield Network(server, tuple(rows), f"{subnet}.250.2")
    finally:
        # A namespace lives as long as a process in it, and this link with it: with its address, whoever has the
        # network next would ask this server.
        subprocess.run(["ip", "link", "delete", outer], check=False, capture_output=True)
        for name in reversed(made):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
            shutil.rmtree(_ETC / name, ignore_errors=True)
        held.close()


def _free_subnet() -> tuple[socket.socket, str]:
    """Return the first two numbers of a network that no other process's tests use while the socket is open.

    All of these networks lead to this process's own namespace. With two alike, one server would get the other's
    requests. A killed process leaves its link behind: its network is passed over.
    """
    left = routes()
    for number in range(200, 250):
        if f"10.{number}." in left:
            continue
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0parley-tests-10.{number}")
        except OSError:
            held.close()
        else:
            return held, f"10.{number}"
    raise RuntimeError("all of 10.200.0.0 to 10.249.0.0 are in use by tests")


def routes() -> str:
    """Return the routes of this process's own namespace, as iproute2 prints them."""
    return subprocess.run(["ip", "route", "show"], check=True, capture_output=True, text=True).stdout


def _name(host: Host, names: Mapping[str, str]) -> None:
    (_ETC / host.name).mkdir(parents=True)
    lines = [f"{address} {name}\n" for name, address in ({"localhost": "127.0.0.1"} | dict(names)).items()]
    (_ETC / host.name / "hosts").write_text("".join(lines))
    # A name server without a listener: a lookup of other names fails at once rather than after 10 s.
    (_ETC / host.name / "resolv.conf").write_text("nameserver 127.0.0.1\n")


def _join(server: str, host: Host, link: str) -> None:
    ip("link", "add", link, "netns", server, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    ip("-n", server, "address", "add", f"{host.server_address}/24", "dev", link)
    ip("-n", server, "link", "set", link, "up")
    ip("-n", host.name, "link", "set", "lo", "up")
    ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
    ip("-n", host.name, "link", "set", "eth0", "up")
    ip("-n", host.name, "route", "add", "default", "via", host.server_address)


def up(link: str, namespace: str | None = None) -> None:
    """Bring up a link with only IPv4.

    A link-local address would be ready about 2 s later. Chromium takes that for a change of network and aborts loading.
    """
    within = ("-n", namespace) if namespace else ()
    ip(*within, "link", "set", link, "addrgenmode", "none")
    ip(*within, "link", "set", link, "up")


def ip(*arguments: str) -> None:
    """Run iproute2; raises RuntimeError with its error output."""
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()} (needs root and iproute2)")


def in_namespace(name: str, action: Callable[[], T]) -> T:
    """Run `action` in a thread that has entered the namespace, and return its result."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            with Path(f"/run/netns/{name}").open("rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            outcome.append(action())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
