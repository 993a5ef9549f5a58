"""A whole server in one namespace and browsers in others, for the end-to-end tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from parley_client import Api
from tests.support import livekit_client
from tests.support.call import PASSWORD, become_admin
from tests.support.namespaces import Network, network
from tests.support.server import RunningServer, running_server


@dataclass(slots=True)
class Deployment:
    """A running server, its network, and its administrator's session."""

    server: RunningServer
    network: Network
    admin: Api

    @property
    def url(self) -> str:
        """The server's URL for this process."""
        return f"https://{self.network.server_address}:{self.server.https_port}"

    @property
    def plain_url(self) -> str:
        """The server's URL over plain HTTP, for clients that do not accept our own certificate."""
        return f"http://{self.network.server_address}:{self.server.http_port}"

    def url_for(self, host: int) -> str:
        """The server's URL for a browser in a host's namespace."""
        return f"https://{self.network.hosts[host].server_address}:{self.server.https_port}"


@pytest.fixture(scope="session")
def deployed() -> Iterator[tuple[RunningServer, Network]]:
    with (
        livekit_client.livekit_library(),
        network(3) as net,
        # LiveKit's SDKs do not accept our own certificate, so plain HTTP is served to them in the namespace.
        running_server(
            net.server_prefix,
            livekit_keys=livekit_client.KEYS,
            http_host=net.server_address,
            embed_origins="https://app.example",
            private_broadcasts="true",
            inference="false",  # captions come from a test
        ) as server,
    ):
        asyncio.run(_set_up(server, net))
        yield server, net


@pytest.fixture
async def deployment(deployed: tuple[RunningServer, Network]) -> AsyncIterator[Deployment]:
    server, net = deployed
    async with Api(f"https://{net.server_address}:{server.https_port}", verify_tls=False) as admin:
        await admin.login("admin", PASSWORD)
        yield Deployment(server, net, admin)


async def _set_up(server: RunningServer, net: Network) -> None:
    async with Api(f"https://{net.server_address}:{server.https_port}", verify_tls=False) as admin:
        await become_admin(admin, server.setup_token)
