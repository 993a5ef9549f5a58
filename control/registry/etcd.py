"""Registry of nodes in etcd, each registered under a lease that it renews.

An expired lease does not prove that a node is lost: etcd may be slow, or unreachable only from the node. Such a node is
probed once a second, and is lost if it does not answer. The same applies to a node that another or an earlier control
process has seen (`recall`): it is alive once it answers, and keeps its rooms until it has been probed for the duration
of a lease.

While etcd is unreachable, the last known nodes remain. Without a quorum, the nodes known to one member are probed in
the same way. `verify` still detects dead nodes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping

from control.registry.membership import Registry
from control.registry.probe import Life, Probe
from foundation.etcd import Change, Etcd, EtcdUnavailable
from foundation.etcd_outage import EtcdOutage
from foundation.failures import describe
from sfu.api.registration import NODES_PREFIX, NodeRecord, decode_record

_log = logging.getLogger(__name__)
_ASK_SECONDS = 1.0
_STALE_SECONDS = 5.0
_REMEMBERED_SECONDS = 600.0
_NO_QUORUM = "no quorum; nodes are read from one member and probed"


class EtcdRegistry(Registry):
    """Registry that watches the nodes' prefix and probes nodes that etcd does not list."""

    def __init__(self, probe: Probe, etcd: Etcd, lease_seconds: float) -> None:
        super().__init__(probe, lease_seconds)
        self._etcd = etcd
        self._lapsed: set[str] = set()
        self._unproven: dict[str, float] = {}
        """Recalled nodes that have not answered yet, with their deadlines."""
        self._lost_at: dict[str, float] = {}
        self._some_to_ask = asyncio.Event()
        self._outage = EtcdOutage("keeping the known nodes, and probing them", _log)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._ask_doubtful())

    async def close(self) -> None:
        await super().close()
        await self._etcd.close()

    async def trouble(self) -> str | None:
        """Return why etcd is unusable. It is asked, because a frozen one only stops sending changes."""
        if self._outage.reason:
            return self._outage.reason
        try:
            await self._etcd.check(NODES_PREFIX)
        except EtcdUnavailable as error:
            return describe(error)
        return None

    def held(self) -> Mapping[str, NodeRecord]:
        return {name: self._known[name] for name in sorted(self._living | self._unproven.keys())}

    async def recall(self, records: Iterable[NodeRecord]) -> None:
        new = [record for record in records if record.node not in self._known]
        for record in new:
            self._known[record.node] = record
            self._unproven[record.node] = time.monotonic() + self.lease_seconds
        await asyncio.gather(*(self._ask(record) for record in new))

    async def _follow(self) -> None:
        while True:
            try:
                found = await self._etcd.under(NODES_PREFIX)
                records = _decoded(found.values)
                if found.stale:
                    self._outage.begin(_NO_QUORUM)
                    await self.recall(records.values())
                else:
                    self._outage.end()
                    for record in records.values():
                        self._take_up(record)
                    for name in self._known.keys() - records.keys():
                        self._lapse(name)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STALE_SECONDS if found.stale else None):
                        await self._watch(found.revision)
            except EtcdUnavailable as error:
                await asyncio.sleep(self._outage.failed(error))

    async def _watch(self, revision: int) -> None:
        async for change in self._etcd.watch(NODES_PREFIX, revision):
            self._take(change)

    def _take(self, change: Change) -> None:
        if change.value is None:
            self._lapse(change.key.removeprefix(NODES_PREFIX))
            return
        for record in _decoded({change.key: change.value}).values():
            self._take_up(record)

    def _take_up(self, record: NodeRecord) -> None:
        """Accept a node as certainly alive."""
        self._lapsed.discard(record.node)
        self._unproven.pop(record.node, None)
        self._lost_at.pop(record.node, None)
        self._heard(record)

    def _forget_those_long_gone(self) -> None:
        """Forget nodes that were lost long ago, since each roll-out may bring new names."""
        now = time.monotonic()
        for name in [name for name, lost_at in self._lost_at.items() if now - lost_at > _REMEMBERED_SECONDS]:
            del self._lost_at[name]
            self._forget(name)

    def _lapse(self, name: str) -> None:
        """Probe a node whose lease has expired or that has revoked it."""
        if self.lives(name):
            self._lapsed.add(name)
            self._some_to_ask.set()

    async def _ask_doubtful(self) -> None:
        """Probe nodes that etcd does not list. These include lost ones, since nothing else may reveal their return."""
        while True:
            self._some_to_ask.clear()
            doubtful = self._lapsed | (self._known.keys() - self._living)
            await asyncio.gather(*(self._ask(self._known[name]) for name in sorted(doubtful)))
            self._forget_those_long_gone()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_SECONDS):
                    await self._some_to_ask.wait()

    async def _ask(self, record: NodeRecord) -> None:
        name = record.node
        probed = await self.probe.ask(record)
        if self.lives(name) and name not in self._lapsed:
            return  # it has registered in the meantime
        if probed.life is Life.ALIVE:
            self._take_up(probed.record)
            self._lapsed.add(name)
        elif name in self._lost_at:
            if probed.life is Life.REFUSED:
                self._lost(name)  # it was silent before
        elif time.monotonic() >= self._unproven.get(name, 0.0):
            _log.warning("node %s is lost: it is not registered, and the probe result was %s", name, probed.life.value)
            self._lapsed.discard(name)
            self._unproven.pop(name, None)
            self._lost(name, silent=probed.life is Life.SILENT)
            self._lost_at[name] = time.monotonic()


def _decoded(values: Mapping[str, bytes]) -> dict[str, NodeRecord]:
    """Return the records by name; invalid ones are logged and skipped."""
    found = {}
    for key, value in values.items():
        name = key.removeprefix(NODES_PREFIX)
        try:
            record = decode_record(value)
        except ValueError as error:
            _log.warning("node %s registered an invalid record: %s", name, describe(error))
            continue
        if record.node == name:
            found[name] = record
    return found
