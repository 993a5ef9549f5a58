"""Browsers whose network blocks UDP meet over ICE-TCP: frames are decoded in both directions."""

import contextlib
import subprocess
from collections.abc import Iterator

from tests.e2e.conftest import Deployment
from tests.e2e.test_browsers_meet import (
    chromium_guest,
    firefox_guest,
    of_chromium,
    of_firefox,
    until_media,
)
from tests.support.candidate_pairs import nominated_pairs
from tests.support.namespaces import Network

PROTOCOLS = nominated_pairs("local.protocol")


@contextlib.contextmanager
def without_udp(net: Network, *hosts: int) -> Iterator[None]:
    """Let no UDP of these hosts reach the server, like a firewall that silently drops it."""
    rules = [["pref", "5", "iif", f"s{host}", "ipproto", "udp", "blackhole"] for host in hosts]
    _rule(net, "add", "pref", "10", "lookup", "local")
    _rule(net, "delete", "pref", "0")  # the local routing table is now looked up after our rules
    try:
        for rule in rules:
            _rule(net, "add", *rule)
        yield
    finally:
        for rule in rules:
            _rule(net, "delete", *rule)
        _rule(net, "add", "pref", "0", "lookup", "local")
        _rule(net, "delete", "pref", "10")


def _rule(net: Network, *arguments: str) -> None:
    subprocess.run(["ip", "-n", net.server, "rule", *arguments], check=True)


async def test_chromium_and_firefox_meet_by_tcp(deployment: Deployment) -> None:
    meeting = await deployment.admin.create_meeting("Blocked")
    with without_udp(deployment.network, 0, 1):
        async with (
            chromium_guest(deployment, 0, meeting, "Ada") as ada,
            firefox_guest(deployment, 1, meeting, "Frida") as frida,
        ):
            for streams in (of_chromium(ada), of_firefox(frida)):
                await until_media(streams, videos=1, frames=30, audio=50, seconds=40)
            for used in (await ada.evaluate(PROTOCOLS), await frida.evaluate(PROTOCOLS)):
                assert set(used) == {"tcp"}
