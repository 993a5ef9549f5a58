"""Addresses for signaling over WebTransport, which goes directly to the node, without any proxy."""

import re
from collections.abc import Mapping

from sfu.api.registration import NodeRecord, WebTransportEndpoint

_SOURCE = re.compile(r"https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):\d+")


def endpoint(nodes: Mapping[str, NodeRecord], name: str) -> WebTransportEndpoint | None:
    """Return the WebTransport address of a node, or None if a page cannot reach one.

    A single node is reached at the page's own host (`host` is then "", whatever the node reported). With several nodes,
    only those that report a public address are reachable.
    """
    found = nodes[name].webtransport if name in nodes else None
    if found is None:
        return None
    if len(nodes) == 1:
        return WebTransportEndpoint(port=found.port, hash=found.hash)
    return found if found.host else None


def sources(nodes: Mapping[str, NodeRecord], host: str) -> list[str]:
    """Return the addresses that a page of `host` may connect to, as host-sources of a Content-Security-Policy."""
    endpoints = (endpoint(nodes, name) for name in nodes)
    found = {f"https://{one.host or host}:{one.port}" for one in endpoints if one is not None}
    return sorted(source for source in found if _SOURCE.fullmatch(source))


def of_single(nodes: Mapping[str, NodeRecord]) -> WebTransportEndpoint | None:
    """Return the address that everyone who joins uses, or None if there are several nodes."""
    return endpoint(nodes, next(iter(nodes))) if len(nodes) == 1 else None
