"""Membership of nodes, known and living: the interface and common base of both registries."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Mapping

import msgspec
from prometheus_client import Gauge

from control.registry.choice import choose
from control.registry.probe import Life, Probe
from sfu.api.registration import NodeRecord

_LIVING = Gauge("parley_control_nodes", "Living nodes", ["state"])
_TRUSTED_SECONDS = 1.0
_UNSEEN_SECONDS = 5.0


class Registry(ABC):
    """Registry of nodes by name. `run` keeps it up to date; before that, its initial nodes count as alive."""

    def __init__(self, probe: Probe, lease_seconds: float) -> None:
        self.probe = probe
        self.lease_seconds = lease_seconds
        self._known: dict[str, NodeRecord] = {}
        self._living: set[str] = set()
        self._proved_at: dict[str, float] = {}
        self._doubted: set[str] = set()
        self._silent: set[str] = set()
        """Lost nodes that did not answer in time, rather than refuse a connection."""
        self._changed = asyncio.Event()
        self._lately: deque[tuple[float, str]] = deque()

    @abstractmethod
    async def run(self) -> None:
        """Follow the nodes until cancelled."""

    async def close(self) -> None:
        """Release the resources of `run`."""
        await self.probe.close()

    async def trouble(self) -> str | None:
        """Return why changes of nodes may go unnoticed, or None if they are noticed."""
        return None

    def living(self) -> Mapping[str, NodeRecord]:
        """Return the living nodes, by name."""
        return {name: self._known[name] for name in sorted(self._living)}

    def held(self) -> Mapping[str, NodeRecord]:
        """Return the nodes that keep their rooms, that is, those that are not lost, by name."""
        return self.living()

    @abstractmethod
    async def recall(self, records: Iterable[NodeRecord]) -> None:
        """Accept nodes that some control process has seen, and probe those that are unknown here."""

    def choose(self, region: str, but: str = "") -> str | None:
        """Return the node for a new room of somebody in `region`, never `but`; None if no node takes rooms."""
        now = time.monotonic()
        while self._lately and now - self._lately[0][0] > _UNSEEN_SECONDS:
            self._lately.popleft()
        others = (record for name, record in self.living().items() if name != but)
        found = choose(others, region, Counter(name for _, name in self._lately))
        return None if found is None else found.node

    def chosen(self, name: str) -> None:
        """Count a new room on a node until the node's reported load includes it."""
        self._lately.append((time.monotonic(), name))

    def known(self) -> Mapping[str, NodeRecord]:
        """Return every known node, with its last addresses."""
        return self._known

    def lives(self, name: str) -> bool:
        return name in self._living

    def change(self) -> asyncio.Event:
        """Return an event that is set when the next node appears, disappears or restarts."""
        return self._changed

    async def gone(self, name: str, boot: str = "") -> None:
        """Wait until a node is lost, or its process is no longer `boot`, by default the current one.

        While no other node takes rooms, a silent node is not gone: its sessions could move nowhere, and it may only be
        busy.
        """
        boot = boot or self._boot(name)
        while (self.lives(name) or self._is_awaited(name)) and boot in {"", self._boot(name)}:
            await self._changed.wait()
            boot = boot or self._boot(name)

    async def verify(self, name: str) -> bool:
        """Return whether a node is alive now. It is probed if it has given no sign of life for a second.

        A refused connection means that it is lost; a node that does not answer is lost when its lease expires.
        """
        record = self._known.get(name)
        if record is None or name not in self._living:
            return False
        recently = time.monotonic() - self._proved_at.get(name, 0.0) < _TRUSTED_SECONDS
        if recently and name not in self._doubted:
            return True
        probed = await self.probe.ask(record)
        if probed.life is Life.ALIVE:
            self._heard(probed.record)
        elif probed.life is Life.REFUSED:
            self._lost(name)
        return name in self._living

    def proved(self, name: str, boot: str = "") -> None:
        """Record that a node is alive, since it accepted a connection; its process is `boot`, if it reported one."""
        record = self._known.get(name)
        if record is not None:
            self._heard(msgspec.structs.replace(record, boot=boot or record.boot))

    def doubt(self, name: str) -> None:
        """Record that a connection to a node broke, so that the next `verify` probes it."""
        self._doubted.add(name)

    def _is_awaited(self, name: str) -> bool:
        """Return whether a lost node is silent, and no other can take its rooms."""
        others = [record for other, record in self.living().items() if other != name]
        return name in self._silent and all(record.draining for record in others)

    def _boot(self, name: str) -> str:
        record = self._known.get(name)
        return "" if record is None else record.boot

    def _heard(self, record: NodeRecord) -> None:
        """Record that a node is alive."""
        before = self._known.get(record.node)
        news = record.node not in self._living or before is None or before.boot != record.boot
        news = news or before is None or before.draining != record.draining
        self._known[record.node] = record
        self._living.add(record.node)
        self._silent.discard(record.node)
        self._doubted.discard(record.node)
        self._proved_at[record.node] = time.monotonic()
        if news:
            self._tell()

    def _lost(self, name: str, *, silent: bool = False) -> None:
        """Record that a node is lost; `silent` if it only did not answer in time."""
        self._proved_at.pop(name, None)
        self._doubted.discard(name)
        news = name in self._living or (name in self._silent and not silent)
        self._living.discard(name)
        self._silent.discard(name)
        if silent:
            self._silent.add(name)
        if news:
            self._tell()

    def _forget(self, name: str) -> None:
        """Remove a node from the registry."""
        self._lost(name)
        self._known.pop(name, None)

    def _tell(self) -> None:
        _LIVING.labels("living").set(len(self._living))
        _LIVING.labels("lost").set(len(self._known) - len(self._living))
        self._changed.set()
        self._changed = asyncio.Event()
