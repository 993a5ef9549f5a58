"""A node is ready once control can know it, so a roll-out without etcd stops at the first node."""

from pathlib import Path

import aiohttp

from foundation.etcd import EtcdConfig
from parley.network import allocate_port
from tests.sfu.server.harness import Host, host
from tests.support.etcd import running_etcd
from tests.support.waiting import eventually


async def is_ready(h: Host, session: aiohttp.ClientSession) -> bool:
    async with session.get(f"{h.http}/health/ready") as answer:
        return answer.status == 200


async def test_a_node_is_ready_once_it_was_registered_and_stays_so(tmp_path: Path) -> None:
    port = allocate_port("127.0.0.1")
    etcd = EtcdConfig(urls=(f"http://127.0.0.1:{port}",))
    async with host(tmp_path, etcd=etcd) as h, aiohttp.ClientSession() as session:
        assert not await is_ready(h, session)
        with running_etcd(port=port):
            await eventually(lambda: is_ready(h, session))
        assert await is_ready(h, session)
