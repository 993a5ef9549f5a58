#!/usr/bin/env -S python3 -IS
"""Exit 0 while the part in this container is healthy; end a part that does not recover.

    healthy [--restart-unless URL] [URL...]

A part is healthy if one of its health addresses answers 200; without addresses, the defaults of all parts are tried.
Docker restarts only containers that have ended, not unhealthy ones. So this script ends a part that has answered once
and then does not answer at the address of `--restart-unless` for a minute.

It runs in every container every few seconds, so it imports little and speaks HTTP/1.0 over a socket. HTTPS is for parts
that use TLS with each other.
"""

import os
import signal
import socket
import sys
import time

DEFAULTS = (
    "http://127.0.0.1:8800/health/ready",  # control
    "http://127.0.0.1:8084/health/ready",  # sfu
    "http://127.0.0.1:8086/health/live",  # recorder
    "http://127.0.0.1:8085/health/live",  # inference
    "http://127.0.0.1:8087/health/live",  # ingress
    "http://127.0.0.1:8088/health/live",  # phone
)
PATIENCE_SECONDS = 60.0
ANSWERED_AT = "/tmp/parley-answered-at"  # noqa: S108  in a tmpfs that only this container has


def is_healthy(url: str) -> bool:
    """Return True if the address answers 200 within three seconds; control needs one at most, even without stores."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    name, _, port = host.rpartition(":")
    try:
        with _encrypted(socket.create_connection((name, int(port)), timeout=3), scheme == "https") as connection:
            connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            answer = b""
            while more := connection.recv(4096):
                answer += more
            return answer.split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


def _encrypted(connection: socket.socket, is_tls: bool) -> socket.socket:
    if not is_tls:
        return connection
    import ssl  # noqa: PLC0415  most containers do without TLS, and this import costs more than all others

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it asks this container
    return context.wrap_socket(connection)


def is_silent_for_long(url: str, now: float) -> bool:
    """Return True if an address that once answered has not answered for a minute."""
    if is_healthy(url):
        with open(ANSWERED_AT, "w") as file:  # noqa: PTH123  pathlib would be a large import
            file.write(str(now))
        return False
    try:
        with open(ANSWERED_AT) as file:  # noqa: PTH123
            return now - float(file.read()) >= PATIENCE_SECONDS
    except (OSError, ValueError):
        return False


def end_the_part() -> None:
    """End the child of the container's first process, which then ends too, so Docker restarts the container."""
    os.unlink(ANSWERED_AT)  # noqa: PTH108
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{name}/stat") as file:  # noqa: PTH123
                parent = int(file.read().rpartition(") ")[2].split()[1])
            if parent == 1 and int(name) != os.getpid():
                os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue


if __name__ == "__main__":
    urls = sys.argv[1:]
    if urls[:1] == ["--restart-unless"]:
        if is_silent_for_long(urls[1], time.time()):
            end_the_part()
        urls = urls[2:]
    sys.exit(0 if any(is_healthy(url) for url in urls or DEFAULTS) else 1)
