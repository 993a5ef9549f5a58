"""Bar: a browser whose network only allows TLS out meets others through coturn, configured as shipped."""

import contextlib
import datetime
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from parley import certificate
from parley_client import Api
from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import (
    Streams,
    firefox_guest,
    join_by_page,
    of_chromium,
    of_firefox,
    until_media,
)
from tests.e2e.test_without_udp import without_udp
from tests.network.behind_link import once
from tests.support.call import become_admin
from tests.support.candidate_pairs import nominated_pairs
from tests.support.chromium import FULL_RATE, chromium, open_page
from tests.support.namespaces import Network, network
from tests.support.sdk_page import Evaluates
from tests.support.server import running_server

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "coturn" / "turnserver.conf"
PUBLIC = "203.0.113.5"  # TEST-NET-3, which coturn takes for public
NAME = "turn.test"  # Firefox takes no address where TLS is asked for
SECRET = "turn-secret-of-this-test"
URL = f"turns:{NAME}:443?transport=tcp"
RELAYED = nominated_pairs("[local.candidateType, local.relayProtocol].join(' ')")


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[Network]:
    """Two hosts and a server with a public address, on which coturn listens."""
    with network(2, names={NAME: PUBLIC}) as net, contextlib.ExitStack() as stack:
        subprocess.run(["ip", "-n", net.server, "address", "add", f"{PUBLIC}/32", "dev", "lo"], check=True)
        made = certificate.ensure(tmp_path / "tls", [NAME], datetime.datetime.now(datetime.UTC))
        command = [
            *net.server_prefix, "turnserver", "-c", str(CONFIGURATION), "--listening-ip", PUBLIC, "--relay-ip", PUBLIC,
            "--realm", NAME, "--static-auth-secret", SECRET, "--cert", str(made.certificate),
            "--pkey", str(made.key), "--log-file", str(tmp_path / "log"), "--simple-log",
            "--pidfile", str(tmp_path / "pid"), "--db", str(tmp_path / "db"),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        yield net


@contextlib.asynccontextmanager
async def guest(kind: str, deployment: Deployment, host: int, meeting: str) -> AsyncIterator[tuple[Evaluates, Streams]]:
    """Yield a joined page, which accepts this test's certificate, and its incoming streams."""
    if kind == "firefox":
        async with firefox_guest(deployment, host, meeting, f"Guest {host}") as browser:
            yield browser, of_firefox(browser)
    else:
        prefix = deployment.network.hosts[host].prefix
        async with chromium(prefix, [FULL_RATE, "--ignore-certificate-errors"]) as browser:
            page = await open_page(browser, f"{deployment.url_for(host)}/m/{meeting}")
            await join_by_page(page, f"Guest {host}")
            yield page, of_chromium(page)


@once
@pytest.mark.parametrize("kind", ["chromium", "firefox"])
async def test_a_browser_meets_another_through_turn(turn: Network, kind: str) -> None:
    with running_server(turn.server_prefix, turn_urls=URL, turn_secret=SECRET, sfu_tcp_port="-1") as server:
        async with Api(f"https://{turn.server_address}:{server.https_port}", verify_tls=False) as admin:
            await become_admin(admin, server.setup_token)
            deployment = Deployment(server, turn, admin)
            meeting = await admin.create_meeting("Relayed")
            with without_udp(turn, 0):
                async with (
                    guest(kind, deployment, 0, meeting) as (behind, here),
                    guest("chromium", deployment, 1, meeting) as (_, there),
                ):
                    begun = time.monotonic()
                    for streams in (here, there):
                        await until_media(streams, videos=1, frames=30, audio=50, seconds=40)
                    print(f"{kind}: frames both ways through coturn over TLS after {time.monotonic() - begun:.1f} s")
                    assert set(await behind.evaluate(RELAYED)) == {"relay tls"}
