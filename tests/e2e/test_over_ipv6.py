"""Browsers that reach media only over IPv6."""

import contextlib
import subprocess
from collections.abc import Iterator

from parley_client import Api
from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import chromium_guest, firefox_guest, of_chromium, of_firefox, until_media
from tests.support.call import become_admin
from tests.support.candidate_pairs import nominated_pairs
from tests.support.namespaces import Network, network
from tests.support.server import running_server

USED = nominated_pairs("remote.protocol + (remote.address.includes(':') ? '6' : '4')")


@contextlib.contextmanager
def six_beside_four(hosts: int) -> Iterator[tuple[Network, str]]:
    """A network whose hosts have IPv6 as well; and the server's addresses of that kind."""
    with network(hosts) as net:
        addresses = []
        for index, host in enumerate(net.hosts):
            ends = ((net.server, f"s{index}", f"fd5a:{index}::1"), (host.name, "eth0", f"fd5a:{index}::2"))
            for name, link, address in ends:
                _ip("-n", name, "address", "add", f"{address}/64", "dev", link, "nodad")
            _ip("-n", host.name, "-6", "route", "add", "default", "via", f"fd5a:{index}::1")
            addresses.append(f"fd5a:{index}::1")
        yield net, ",".join(addresses)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def test_chromium_and_firefox_meet_by_ipv6() -> None:
    with six_beside_four(2) as (net, addresses), running_server(net.server_prefix, sfu_addresses=addresses) as server:
        async with Api(f"https://{net.server_address}:{server.https_port}", verify_tls=False) as admin:
            await become_admin(admin, server.setup_token)
            deployment = Deployment(server, net, admin)
            meeting = await admin.create_meeting("Six")
            async with (
                chromium_guest(deployment, 0, meeting, "Ada") as ada,
                firefox_guest(deployment, 1, meeting, "Frida") as frida,
            ):
                for streams in (of_chromium(ada), of_firefox(frida)):
                    await until_media(streams, videos=1, frames=30, audio=50, seconds=40)
                for used in (await ada.evaluate(USED), await frida.evaluate(USED)):
                    assert "udp6" in used
                    assert set(used) <= {"udp6", "tcp6"}
