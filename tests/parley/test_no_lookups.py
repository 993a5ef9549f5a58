"""Absence of name lookups: no part queries a name server for anything that was not configured."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.inference.conftest import fetched_models
from tests.support.namespaces import in_namespace, network
from tests.support.server import running_server
from tests.support.waiting import until

NAME_SERVER = "127.0.0.1"
_ETC = Path("/etc/netns")


def listening() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((NAME_SERVER, 53))
    sock.setblocking(False)
    return sock


def asked(sock: socket.socket) -> list[bytes]:
    queries = []
    while True:
        try:
            queries.append(sock.recv(512))
        except BlockingIOError:
            return queries


def makes_captions() -> bool:
    """Return True once the models are loaded."""
    with contextlib.suppress(OSError), urllib.request.urlopen("http://127.0.0.1:8085/health", timeout=2) as answer:
        return bool(json.load(answer)["captions"])
    return False


def test_no_part_looks_a_name_up() -> None:
    """Also with models: onnxruntime would call home when it opens them."""
    with network(0) as net:
        (_ETC / net.server).mkdir(parents=True)
        (_ETC / net.server / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions attempts:1 timeout:1\n")
        name_server = in_namespace(net.server, listening)
        try:
            settings = {"https_port": "-1", "inference_port": "8085", "models_dir": str(fetched_models())}
            with running_server(net.server_prefix, **settings):
                until(lambda: in_namespace(net.server, makes_captions), 60)
                assert asked(name_server) == []
            look = "import socket; socket.gethostbyname('meet.example.org')"
            subprocess.run([*net.server_prefix, sys.executable, "-c", look], check=False, capture_output=True)
            assert asked(name_server), "what is asked is not seen here"
        finally:
            name_server.close()
            shutil.rmtree(_ETC / net.server, ignore_errors=True)
