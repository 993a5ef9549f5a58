"""Selection of the registry: etcd if configured, otherwise the listed nodes."""

import aiohttp

from control.config import ControlConfig
from control.registry.etcd import EtcdRegistry
from control.registry.membership import Registry
from control.registry.probe import Probe
from control.registry.static import StaticRegistry
from foundation.etcd import Etcd
from sfu.api.registration import NodeRecord


def open_registry(config: ControlConfig, http: aiohttp.ClientSession) -> Registry:
    """Return the registry, not running yet; raises OSError or ValueError if the file of nodes cannot be read."""
    probe = Probe(http, config.node_secret)
    if config.etcd is not None:
        return EtcdRegistry(probe, Etcd(config.etcd), config.etcd.lease_seconds)
    nodes = [
        NodeRecord(node=node.node, signaling_url=node.signaling_url, http_url=node.http_url, region=node.region)
        for node in config.nodes
    ]
    return StaticRegistry(probe, nodes, config.nodes_file)
