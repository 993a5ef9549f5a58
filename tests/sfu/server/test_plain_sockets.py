"""The address that a sender is told: the public one, except for senders in the node's own network."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfu.server.plain_sockets import PlainSockets


@pytest.mark.parametrize(
    ("sender", "told"),
    [(None, "198.51.100.1"), ("1.2.3.4", "198.51.100.1"), ("10.1.2.3", "10.0.0.7"), ("127.0.0.1", "10.0.0.7")],
)
def test_a_part_beside_the_node_reaches_it_at_its_own_address(sender: str | None, told: str) -> None:
    driver: Any = SimpleNamespace(open_socket=lambda beside, port: (5 + beside, port or 40_000))
    sockets: Any = SimpleNamespace(addresses=[("10.0.0.7", 8810)])
    assert PlainSockets(driver, sockets, ["198.51.100.1"]).to_receive(sender, mux=True).address == told
