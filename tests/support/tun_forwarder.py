"""The link model for real programs: a namespace whose only way out is a TUN device behind two emulated links.

The kernel may lack netem, but TUN works everywhere. Its packets are already segmented, so a loss affects only one. A
separate process forwards them, since the test's may be busy. It has precedence over all others, because a cable never
waits for a busy machine. Needs root and iproute2.
"""

import contextlib
import fcntl
import itertools
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO

from tests.support.link_model import Link, LinkSettings
from tests.support.namespaces import in_namespace, ip

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MTU = 1500
_READY = "ready\n"
_IDLE_SECONDS = 0.05
_counter = itertools.count(1)


@dataclass(slots=True)
class EmulatedHost:
    """A namespace behind an emulated link; the server is reached at `server_address`, always through the link."""

    name: str
    address: str
    server_address: str
    _device: str
    _control: IO[str]
    _answers: IO[str]

    @property
    def prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def change(self, *, down: LinkSettings | None = None, up: LinkSettings | None = None) -> None:
        """Change the settings at once; waiting packets stay in the queue."""
        message = {name: asdict(settings) for name, settings in (("down", down), ("up", up)) if settings is not None}
        self._control.write(json.dumps(message) + "\n")
        self._control.flush()

    def move(self) -> None:
        """Change the address, like a phone that moves to another network."""
        network, _, last = self.address.rpartition(".")
        before, self.address = self.address, f"{network}.{int(last) + 1}"
        ip("route", "add", f"{self.address}/32", "dev", self._device)
        ip("-n", self.name, "address", "delete", before, "peer", self.server_address, "dev", "em0")
        ip("-n", self.name, "address", "add", self.address, "peer", self.server_address, "dev", "em0")
        ip("-n", self.name, "route", "replace", "default", "via", self.server_address)

    def queueing(self) -> float:
        """Return the time, in seconds, that a packet to this host would now wait in the link's queue."""
        self._control.write("{}\n")
        self._control.flush()
        return float(self._answers.readline())


@contextlib.contextmanager
def emulated_host(down: LinkSettings, up: LinkSettings, seed: int) -> Iterator[EmulatedHost]:
    """Create a namespace and its link to this process's own namespace; everything is removed at the end."""
    number = next(_counter)
    name = f"parley-e{os.getpid()}-{number}"
    subnet = f"10.{150 + os.getpid() % 50}.{number}"
    outer = f"pe{os.getpid() % 100000}x{number}"
    descriptors: list[int] = []
    process: subprocess.Popen[str] | None = None
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        descriptors.append(_open_tun(outer))
        descriptors.append(in_namespace(name, lambda: _open_tun("em0")))
        for prefix, device, ours, theirs in ((), outer, 1, 2), (("-n", name), "em0", 2, 1):
            ip(*prefix, "address", "add", f"{subnet}.{ours}", "peer", f"{subnet}.{theirs}", "dev", device)
            ip(*prefix, "link", "set", device, "mtu", str(_MTU), "up")
        ip("-n", name, "route", "add", "default", "via", f"{subnet}.1")
        arguments = json.dumps({"down": asdict(down), "up": asdict(up), "seed": seed, "tuns": descriptors})
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.tun_forwarder", arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=descriptors,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != _READY:
            raise RuntimeError("the forwarder did not start")
        yield EmulatedHost(name, f"{subnet}.2", f"{subnet}.1", outer, process.stdin, process.stdout)
    finally:
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(5)
            process.stdout.close()
        for descriptor in descriptors:
            os.close(descriptor)
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _open_tun(name: str) -> int:
    """Create a TUN device in the calling thread's namespace; it exists as long as the descriptor is open."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


class _Direction:
    """Forward packets from one device through a link to the other."""

    def __init__(self, source: int, target: int, settings: LinkSettings, seed: int) -> None:
        self.source = source
        self.link: Link[bytes] = Link(settings, seed)
        self._target = target

    def read(self, now: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(256):
                packet = os.read(self.source, 65536)
                self.link.push(packet, len(packet), now)

    def write(self, now: int) -> None:
        for _, packet in self.link.pop(now):
            with contextlib.suppress(BlockingIOError):
                os.write(self._target, packet)


def forward(arguments: str) -> None:
    """Forward until standard input is closed; each of its lines changes settings, an empty one asks for the delay."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    options = json.loads(arguments)
    outer, inner = options["tuns"]
    links = {
        "down": _Direction(outer, inner, LinkSettings(**options["down"]), options["seed"]),
        "up": _Direction(inner, outer, LinkSettings(**options["up"]), options["seed"] + 1),
    }
    control = sys.stdin.fileno()
    sys.stdout.write(_READY)
    sys.stdout.flush()
    while True:
        now = time.monotonic_ns()
        events = [at for direction in links.values() if (at := direction.link.next_event()) is not None]
        wait = min([_IDLE_SECONDS, *(max(0.0, (at - now) / 1e9) for at in events)])
        ready, _, _ = select.select([outer, inner, control], [], [], wait)
        now = time.monotonic_ns()
        if control in ready:
            line = sys.stdin.readline()
            if not line:
                return
            changes = json.loads(line)
            for name, settings in changes.items():
                links[name].link.change(now, **settings)
            if not changes:
                links["down"].write(now)
                sys.stdout.write(f"{links['down'].link.queueing_delay / 1e9}\n")
                sys.stdout.flush()
        for direction in links.values():
            if direction.source in ready:
                direction.read(now)
            direction.write(now)


if __name__ == "__main__":
    forward(sys.argv[1])
