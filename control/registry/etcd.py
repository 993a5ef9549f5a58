"""Nodes that registered in etcd, each under a lease that it renews.

A lease that lapses does not kill: etcd may be slow, or away from the node alone. Such a node is asked, once a second,
and is lost when it does not answer. While etcd is away what was known last holds, and `verify` still finds the dead.
"""

import asyncio
import logging
import time

from control.registry.membership import Registry
from control.registry.probe import Life, Probe
from sfu.api.etcd import Change, Etcd, EtcdUnavailable
from sfu.api.failures import describe
from sfu.api.registration import NODES_PREFIX, NodeRecord, decode_record

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.5
_LAPSED_PAUSE_SECONDS = 1.0
_REMEMBERED_SECONDS = 600.0


class EtcdRegistry(Registry):
    """Watches the nodes' prefix. `probe` asks those whose lease lapsed."""

    def __init__(self, probe: Probe, etcd: Etcd) -> None:
        super().__init__(probe)
        self._etcd = etcd
        self._lapsed: set[str] = set()
        self._lost_at: dict[str, float] = {}
        self._some_lapsed = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._ask_lapsed())

    async def close(self) -> None:
        await super().close()
        await self._etcd.close()

    async def _follow(self) -> None:
        while True:
            try:
                found, revision = await self._etcd.under(NODES_PREFIX)
                for key, value in found.items():
                    self._take(Change(key, value))
                for name in self._known.keys() - {key.removeprefix(NODES_PREFIX) for key in found}:
                    self._lapse(name)
                async for change in self._etcd.watch(NODES_PREFIX, revision):
                    self._take(change)
                    if change.value is None:
                        self._lapse(change.key.removeprefix(NODES_PREFIX))
            except EtcdUnavailable as error:
                _LOG.info("nodes are known as before, etcd is away: %s", describe(error))
                await asyncio.sleep(_PAUSE_SECONDS)

    def _take(self, change: Change) -> None:
        if change.value is None:
            return
        name = change.key.removeprefix(NODES_PREFIX)
        try:
            record = decode_record(change.value)
        except ValueError as error:
            _LOG.warning("node %s registered what is no record: %s", name, describe(error))
            return
        if record.node == name:
            self._lapsed.discard(name)
            self._lost_at.pop(name, None)
            self._heard(record)
        self._forget_those_long_gone()

    def _forget_those_long_gone(self) -> None:
        """Names may be new with every roll-out."""
        now = time.monotonic()
        for name in [name for name, lost_at in self._lost_at.items() if now - lost_at > _REMEMBERED_SECONDS]:
            del self._lost_at[name]
            self._forget(name)

    def _lapse(self, name: str) -> None:
        """A lease is over, by its end or by the node's own wish: the node is asked."""
        if self.lives(name):
            self._lapsed.add(name)
            self._some_lapsed.set()

    async def _ask_lapsed(self) -> None:
        while True:
            if not self._lapsed:
                self._some_lapsed.clear()
                await self._some_lapsed.wait()
            await asyncio.gather(*(self._ask(self._known[name]) for name in sorted(self._lapsed)))
            if self._lapsed:
                await asyncio.sleep(_LAPSED_PAUSE_SECONDS)

    async def _ask(self, record: NodeRecord) -> None:
        probed = await self.probe.ask(record)
        if record.node not in self._lapsed:
            return  # it has registered again meanwhile
        if probed.life is Life.ALIVE:
            self._proved_at[record.node] = time.monotonic()
        else:
            _LOG.warning("node %s is lost: its lease lapsed and it is %s", record.node, probed.life.value)
            self._lapsed.discard(record.node)
            self._lost(record.node)
            self._lost_at[record.node] = time.monotonic()
