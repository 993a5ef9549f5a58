"""Registry of the nodes in the settings or in a TOML file that may change. Control probes each node.

The file has a table per node: `[sfu-1]` with `signaling_url`, `http_url` and optionally `region`.
"""

import asyncio
import logging
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from control.registry.membership import Registry
from control.registry.probe import Life, Probe
from foundation.failures import describe
from sfu.api.registration import NodeRecord

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0


class _Listed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signaling_url: str
    http_url: str
    region: str = ""


class StaticRegistry(Registry):
    """Registry that probes `nodes` every second.

    A node is lost if silent for `lease_seconds` or once it refuses a connection.
    """

    def __init__(
        self, probe: Probe, nodes: Iterable[NodeRecord], file: Path | None = None, lease_seconds: float = 3.0
    ) -> None:
        super().__init__(probe, lease_seconds)
        self._file = file
        self._modified = 0
        self._configured = {node.node: node for node in nodes}
        self._begin(self._configured if file is None else self._configured | self._read(file))

    async def recall(self, records: Iterable[NodeRecord]) -> None:
        """Do nothing: the operator's list alone determines the nodes."""

    async def run(self) -> None:
        while True:
            if self._file is not None:
                await asyncio.to_thread(self._reread, self._file)
            await asyncio.gather(*(self._ask(record) for record in list(self._known.values())))
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask(self, record: NodeRecord) -> None:
        asked_at = time.monotonic()
        probed = await self.probe.ask(record)
        proved_at = self._proved_at.get(record.node, 0.0)
        if probed.life is Life.ALIVE:
            if record.node in self._known:
                self._heard(probed.record)
        elif (probed.life is Life.REFUSED and proved_at < asked_at) or self._lapsed(proved_at):
            self._lost(record.node, silent=probed.life is Life.SILENT)

    def _lapsed(self, proved_at: float) -> bool:
        return time.monotonic() - proved_at >= self.lease_seconds

    def _begin(self, nodes: dict[str, NodeRecord]) -> None:
        """Add nodes; they count as alive until their first probe."""
        for name, record in nodes.items():
            before = self._known.get(name)
            self._known[name] = record if before is None else _readdressed(before, record)
            if before is None:
                self._living.add(name)
                self._proved_at[name] = time.monotonic() - self.lease_seconds
        for name in self._known.keys() - nodes.keys():
            self._forget(name)

    def _reread(self, file: Path) -> None:
        """Reread the file if it changed; if it is unreadable, keep the nodes."""
        try:
            modified = file.stat().st_mtime_ns
            if modified != self._modified:
                self._begin(self._configured | self._read(file))
        except (OSError, ValueError) as error:
            _log.warning("cannot read the list of nodes; keeping the current one: %s: %s", file, describe(error))

    def _read(self, file: Path) -> dict[str, NodeRecord]:
        """Return the nodes of a file; raises OSError or ValueError."""
        self._modified = file.stat().st_mtime_ns
        listed = msgspec.convert(tomllib.loads(file.read_text()), dict[str, _Listed])
        return {
            name: NodeRecord(node=name, signaling_url=one.signaling_url, http_url=one.http_url, region=one.region)
            for name, one in listed.items()
        }


def _readdressed(before: NodeRecord, record: NodeRecord) -> NodeRecord:
    return msgspec.structs.replace(
        before, signaling_url=record.signaling_url, http_url=record.http_url, region=record.region
    )
