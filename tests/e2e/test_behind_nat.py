"""A browser and a client of ours, each behind a NAT router, meet, see and hear each other."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from parley_client import Api
from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import chromium_guest, decoded, of_chromium, until_media
from tests.support.call import become_admin
from tests.support.candidate_pairs import nominated_pairs
from tests.support.far_client import far_client
from tests.support.namespaces import Host, Network, ip, network
from tests.support.nat import behind, forget, forward
from tests.support.sdk_page import Evaluates
from tests.support.server import running_server
from tests.support.waiting import eventually

PUBLIC = "203.0.113.5"  # TEST-NET-3
HTTPS, MEDIA = 8443, 8810
SECONDS = 30
PAIRS = nominated_pairs("[local.candidateType, remote.address]")


async def until_both_see(page: Evaluates, rows: list[dict[str, int]], more: int) -> None:
    """Return once the browser has decoded so many frames more, and our client has had as many."""
    streams = of_chromium(page)
    _, before, _ = decoded(await streams())
    had = rows[-1]["pictures"] if rows else 0
    await until_media(streams, videos=1, frames=before + more, audio=50, seconds=SECONDS)
    await eventually(lambda: rows and rows[-1]["pictures"] >= had + more and rows[-1]["sound"] >= 50, SECONDS)


@asynccontextmanager
async def meeting_of(deployment: Deployment) -> AsyncIterator[tuple[Evaluates, list[dict[str, int]]]]:
    """A page at the deployment's first host, and what our client at its last has seen; both see each other."""
    meeting = await deployment.admin.create_meeting("Translated")
    url, ours = deployment.url_for(0), deployment.network.hosts[-1]
    joined = await deployment.admin.join(meeting, "Ours")
    signaling = Api(url).signaling_url(joined)
    async with (
        far_client(ours.prefix, signaling, joined.token, publishes=True) as rows,
        chromium_guest(deployment, 0, meeting, "Ada") as ada,
    ):
        await until_both_see(ada, rows, 30)
        yield ada, rows


async def test_two_behind_one_router_meet_and_go_on_when_it_forgets_them(deployment: Deployment) -> None:
    router = deployment.network.hosts[2]
    with behind(router) as inside:
        translated = replace(deployment.network, hosts=(inside,))
        async with meeting_of(replace(deployment, network=translated)) as (ada, rows):
            assert {local for local, _ in await ada.evaluate(PAIRS)} == {"prflx"}
            forget(router)
            await until_both_see(ada, rows, 30)


@contextmanager
def network_of_routers() -> Iterator[tuple[Network, Host]]:
    """A server's place behind a router that forwards its ports, and the places of two clients behind theirs."""
    with network(3) as net:
        here, *there = net.hosts
        forward(net.server)
        ip("-n", net.server, "route", "add", f"{PUBLIC}/32", "via", here.address)
        ip("route", "add", f"{here.address}/32", "via", net.server_address)
        with behind(here, (HTTPS, MEDIA), PUBLIC) as server, behind(there[0]) as first, behind(there[1]) as second:
            clients = (replace(first, server_address=PUBLIC), replace(second, server_address=PUBLIC))
            yield Network(server.name, clients, here.address), server


async def test_a_server_behind_a_router_is_met_at_its_announced_address() -> None:
    ports = {"https_port": str(HTTPS), "sfu_udp_port": str(MEDIA)}
    with network_of_routers() as (net, at), running_server(at.prefix, public_hosts=PUBLIC, **ports) as server:
        async with Api(f"https://{net.server_address}:{HTTPS}", verify_tls=False) as admin:
            await become_admin(admin, server.setup_token)
            async with meeting_of(Deployment(server, net, admin)) as (ada, _):
                assert set(map(tuple, await ada.evaluate(PAIRS))) == {("prflx", PUBLIC)}
