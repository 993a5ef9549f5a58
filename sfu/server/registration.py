"""A node's registration in etcd: its record under a lease, renewed while the process runs and etcd answers.

If etcd was unreachable for longer than the lease, the record is written again under a new lease. From desired states
the node learns what happened to its rooms meanwhile (sfu.api.placement).
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from foundation.etcd import Etcd, EtcdUnavailable
from foundation.etcd_outage import EtcdOutage
from foundation.failures import describe
from sfu.api.registration import NODES_PREFIX, NodeRecord, encode_record

_log = logging.getLogger(__name__)
_FAREWELL_SECONDS = 1.0


class Registration:
    """Keeps the record that `describe` returns in etcd, and renews it three times per lease."""

    def __init__(self, etcd: Etcd, lease_seconds: int, describe: Callable[[], NodeRecord]) -> None:
        self._etcd = etcd
        self._lease_seconds = lease_seconds
        self._describe = describe
        self._lease = 0
        self._written: NodeRecord | None = None
        self._changed = asyncio.Event()
        self.has_begun = False
        """True once this node has been registered, even if etcd becomes unreachable later."""
        self._outage = EtcdOutage("this node is not registered", _log)

    def changed(self) -> None:
        """Write the record soon, after an urgent change."""
        self._changed.set()

    async def run(self) -> None:
        """Stay registered until cancelled."""
        while True:
            try:
                await self._renew()
                pause = self._lease_seconds / 3
                self.has_begun = True
                self._outage.end()
            except EtcdUnavailable as error:
                self._lease = 0
                pause = self._outage.failed(error)
            self._changed.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def end(self) -> None:
        """Remove the record at once, instead of when its lease expires."""
        lease, self._lease = self._lease, 0
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                if lease:
                    await self._etcd.revoke(lease)
        except (EtcdUnavailable, TimeoutError) as error:
            _log.warning("the lease of the registration was lost: %s", describe(error))
        await self._etcd.close()

    async def _renew(self) -> None:
        if not self._lease or not await self._etcd.keep_alive(self._lease):
            self._lease = await self._etcd.grant(self._lease_seconds)
            self._written = None
        record = self._describe()
        if self._written is None or _notably(record) != _notably(self._written):
            await self._etcd.put(NODES_PREFIX + record.node, encode_record(record), self._lease)
            self._written = record


def _notably(record: NodeRecord) -> NodeRecord:
    """Return the record with a rounded load, so that not every renewal is a write, which etcd forces to disk."""
    load = msgspec.structs.replace(
        record.load,
        cpu=round(record.load.cpu * 20) / 20,
        lag_ms=round(record.load.lag_ms / 20) * 20,
        packets=round(record.load.packets / 5000) * 5000,
    )
    return msgspec.structs.replace(record, load=load)
