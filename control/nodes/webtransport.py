"""Where a joiner's page may try signaling over WebTransport, which goes to the node itself, past every proxy."""

import re
from collections.abc import Mapping

from sfu.api.registration import NodeRecord, WebTransportDoor

_SOURCE = re.compile(r"https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):\d+")


def door(nodes: Mapping[str, NodeRecord], name: str) -> WebTransportDoor | None:
    """Return the door of a node, None when it has none that a page would find.

    A single node is where the page itself came from (`host` is "" then, whatever it told); of several, only those
    that tell a public address can be found.
    """
    found = nodes[name].webtransport if name in nodes else None
    if found is None:
        return None
    if len(nodes) == 1:
        return WebTransportDoor(port=found.port, hash=found.hash)
    return found if found.host else None


def sources(nodes: Mapping[str, NodeRecord], host: str) -> list[str]:
    """Return what a page of `host` may connect to, as Content-Security-Policy names it (host-source)."""
    doors = (door(nodes, name) for name in nodes)
    found = {f"https://{one.host or host}:{one.port}" for one in doors if one is not None}
    return sorted(source for source in found if _SOURCE.fullmatch(source))


def of_single(nodes: Mapping[str, NodeRecord]) -> WebTransportDoor | None:
    """Return the door that everyone goes to, None where there are several nodes to choose from."""
    return door(nodes, next(iter(nodes))) if len(nodes) == 1 else None
