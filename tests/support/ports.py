"""Free TCP ports for servers that are told theirs."""

import contextlib
import secrets
import socket


def free_ports(count: int) -> list[int]:
    """Return different free ports below the range of ephemeral ports, so that no connection takes one by chance."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            sock = stack.enter_context(socket.socket())
            try:
                sock.bind(("127.0.0.1", 12_000 + secrets.randbelow(18_000)))
            except OSError:
                continue
            ports.append(sock.getsockname()[1])
        return ports
