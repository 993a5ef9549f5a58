"""Selection of the registry: etcd if configured, otherwise the listed nodes."""

import aiohttp

from control.config import ControlConfig
from control.registry.etcd import EtcdRegistry
from control.registry.membership import Registry
from control.registry.probe import Probe
from control.registry.static import StaticRegistry
from foundation.etcd import Etcd


def open_registry(config: ControlConfig, http: aiohttp.ClientSession) -> Registry:
    """Return the registry, not yet running; raises OSError or ValueError if the file of nodes cannot be read."""
    probe = Probe(http, config.node_secret)
    if config.etcd is not None:
        return EtcdRegistry(probe, Etcd(config.etcd), config.etcd.lease_seconds)
    return StaticRegistry(probe, config.nodes, config.nodes_file)
