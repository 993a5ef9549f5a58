"""Probes of nodes, which find out whether a node is alive and return its record."""

import asyncio
import errno
from enum import Enum
from typing import NamedTuple

import aiohttp
import msgspec
from prometheus_client import Counter

from foundation.answer_body import read_body
from foundation.background import cancel_all
from sfu.api.registration import NodeRecord, decode_record

_TIMEOUT = aiohttp.ClientTimeout(total=1.0)
_MAX_ANSWER = 64 * 1024
_PROBES = Counter("parley_control_node_probes_total", "Probes of nodes", ["outcome"])


class Life(Enum):
    """Result of a probe. `refused`: the connection was refused; `silent`: no answer in time."""

    ALIVE = "alive"
    REFUSED = "refused"
    SILENT = "silent"


class Probed(NamedTuple):
    life: Life
    record: NodeRecord


class Probe:
    """Prober of nodes at their private HTTP port, with at most one probe per node at a time."""

    def __init__(self, http: aiohttp.ClientSession, node_secret: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {node_secret}"}
        self._asking: dict[str, asyncio.Task[Probed]] = {}

    async def ask(self, record: NodeRecord) -> Probed:
        """Return whether the node is alive, and its own record with the probed addresses."""
        task = self._asking.get(record.node)
        if task is None:
            task = self._asking[record.node] = asyncio.create_task(self._ask(record))
            task.add_done_callback(lambda _: self._asking.pop(record.node, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        await cancel_all(self._asking.values())

    async def _ask(self, record: NodeRecord) -> Probed:
        life, told = await self._get(record)
        _PROBES.labels(life.value).inc()
        return Probed(life, told)

    async def _get(self, record: NodeRecord) -> tuple[Life, NodeRecord]:
        url = f"{record.http_url}/node/v1/status"
        try:
            async with self._http.get(url, headers=self._headers, timeout=_TIMEOUT) as answer:
                body = await read_body(answer, _MAX_ANSWER)
        except aiohttp.ClientConnectorError as error:
            refused = error.os_error is not None and error.os_error.errno == errno.ECONNREFUSED
            return (Life.REFUSED if refused else Life.SILENT), record
        except aiohttp.ServerDisconnectedError:
            return Life.REFUSED, record
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Life.SILENT, record
        try:
            told = decode_record(body)
        except ValueError:
            return Life.ALIVE, record  # something answers, so the node is not lost
        return Life.ALIVE, msgspec.structs.replace(
            told,
            node=record.node,
            signaling_url=record.signaling_url,
            http_url=record.http_url,
            region=told.region or record.region,
        )
