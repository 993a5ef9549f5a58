"""The networks of the tests, after a test that left something behind."""

import os
import subprocess

from tests.support.namespaces import in_namespace, ip, network, routes, up


def test_a_process_that_lives_on_does_not_keep_the_link() -> None:
    with network(0) as net:
        left = in_namespace(net.server, lambda: subprocess.Popen(["sleep", "60"]))
        assert net.outer_address in routes()
    try:
        assert net.outer_address not in routes()
    finally:
        left.kill()
        left.wait()


def test_the_network_of_a_link_left_behind_is_passed_over() -> None:
    with network(0) as net:
        address = net.outer_address
    link = f"pl{os.getpid()}"
    ip("link", "add", link, "type", "veth", "peer", "name", f"{link}p")
    try:
        ip("address", "add", f"{address}/24", "dev", link)
        up(link)
        up(f"{link}p")
        with network(0) as other:
            assert other.outer_address != address
    finally:
        ip("link", "delete", link)
