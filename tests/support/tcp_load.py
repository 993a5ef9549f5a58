"""A real TCP flow that always has data, over an emulated link, in two separate processes.

`python -m tests.support.tcp_load send|receive ADDRESS PORT|- CONTROL`: without a port, it listens on one and prints it.
The receiver answers each line of standard input with the number of bytes received.
"""

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from tests.support.tun_forwarder import EmulatedHost

_CHUNK = bytes(16_384)


@dataclass(slots=True)
class TcpLoad:
    """Flow; `received` is the number of bytes so far."""

    _questions: IO[str]
    _answers: IO[str]

    def received(self) -> int:
        self._questions.write("\n")
        self._questions.flush()
        return int(self._answers.readline())


@contextlib.contextmanager
def tcp_load(link: EmulatedHost, control: str, *, upload: bool = False) -> Iterator[TcpLoad]:
    """Run a download or upload over `link`; `control` is the kernel's name of a congestion control algorithm."""
    with contextlib.ExitStack() as stack:
        here, there = ("receive", "send") if upload else ("send", "receive")
        listens = _run(stack, [], [here, link.server_address, "-", control])
        assert listens.stdout is not None
        port = listens.stdout.readline().strip()
        connects = _run(stack, link.prefix, [there, link.server_address, port, control])
        receiver = listens if upload else connects
        assert receiver.stdin is not None
        assert receiver.stdout is not None
        yield TcpLoad(receiver.stdin, receiver.stdout)


def _run(stack: contextlib.ExitStack, prefix: list[str], arguments: list[str]) -> subprocess.Popen[str]:
    command = [*prefix, sys.executable, "-m", "tests.support.tcp_load", *arguments]
    process = stack.enter_context(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    )
    stack.callback(process.kill)
    return process


def _connected(address: str, port: str, control: str) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
    if port == "-":
        made.bind((address, 0))
        made.listen(1)
        print(made.getsockname()[1], flush=True)
        made, _ = made.accept()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
    else:
        made.connect((address, int(port)))
    return made


def _receive(connection: socket.socket) -> None:
    received = 0
    while True:
        ready, _, _ = select.select([connection, sys.stdin], [], [])
        if sys.stdin in ready:
            if not sys.stdin.readline():
                return
            print(received, flush=True)
        if connection in ready:
            received += len(connection.recv(65536))


def _main(role: str, address: str, port: str, control: str) -> None:
    connection = _connected(address, port, control)
    if role == "receive":
        _receive(connection)
        return
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(_CHUNK)


if __name__ == "__main__":
    _main(*sys.argv[1:])
