"""Addresses: the bound and offered ones, and that answers come from the address that was used."""

import asyncio
import ipaddress
import socket
import time
from pathlib import Path

import pytest

from parley_client import Room
from sfu.api import signaling
from sfu.machines.ice.client import IceClient
from sfu.machines.ice.lite import Credentials, generate_credentials
from sfu.server import addresses
from sfu.server.addresses import local_addresses, resolve, with_localhost
from tests.sfu.server.harness import client, host
from tests.support.call import speaking
from tests.support.waiting import eventually


def candidates(sdp: str) -> list[tuple[str, int]]:
    lines = [line.split() for line in sdp.split("\r\n") if line.startswith("a=candidate:")]
    return [(fields[4], int(fields[5])) for fields in lines if fields[2].lower() == "udp"]


def test_every_address_but_link_local_ones_is_bound_and_loopback_comes_last() -> None:
    addresses = local_addresses()
    assert addresses[-1] == "127.0.0.1"
    assert len(set(addresses)) == len(addresses)
    assert not any(ipaddress.ip_address(entry).is_link_local for entry in addresses)


def test_ipv6_loopback_joins_that_of_ipv4_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_localhost(("192.0.2.7", "127.0.0.1")) == ("192.0.2.7", "127.0.0.1", "::1")
    assert with_localhost(("192.0.2.7",)) == ("192.0.2.7",)
    assert with_localhost(("::1", "127.0.0.1")) == ("::1", "127.0.0.1")
    monkeypatch.setattr(addresses, "_binds", lambda _: False)
    assert with_localhost(("127.0.0.1",)) == ("127.0.0.1",)


async def test_names_are_resolved() -> None:
    assert await resolve(("192.0.2.7", "localhost", "192.0.2.7")) != ()
    assert (await resolve(("192.0.2.7", "192.0.2.7"))) == ("192.0.2.7",)


async def test_a_name_without_an_address_is_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting is named; a node that ended instead would be started again for ever."""
    monkeypatch.setattr(addresses.Backoff, "pause", lambda _: 0.01)
    waiting = asyncio.create_task(resolve(("meet.invalid",)))
    await eventually(lambda: "public_hosts: meet.invalid does not resolve" in caplog.text)
    answer = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.9", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    assert await waiting == ("192.0.2.9",)


async def test_public_addresses_are_announced_with_our_port(tmp_path: Path) -> None:
    async with host(tmp_path, public_addresses=("192.0.2.7",)) as h, client(h, h.control.token("r", "ann")) as ann:
        offer = await ann.until(signaling.Offer)
        port = h.server.udp_port
        assert set(candidates(offer.sdp)) == {("192.0.2.7", port), ("127.0.0.1", port)}


async def test_a_call_over_ipv6(tmp_path: Path) -> None:
    async with host(tmp_path, addresses=("::1",)) as h:
        ann, bob = (Room(h.signaling_url, token=h.control.token("r", name)) for name in ("ann", "bob"))
        async with ann, bob, speaking(ann) as microphone:
            await eventually(lambda: (heard := bob.stream_of(microphone.track)) is not None and heard.packets > 20, 30)


async def test_answers_come_from_the_address_addressed(tmp_path: Path) -> None:
    addresses = ("127.0.0.1", "127.0.0.2")
    async with host(tmp_path, addresses=addresses) as h, client(h, h.control.token("r", "ann")) as ann:
        offer = await ann.until(signaling.Offer)
        assert [address for address, _ in candidates(offer.sdp)] == list(addresses)
        values = dict(line[2:].split(":", 1) for line in offer.sdp.split("\r\n") if ":" in line)
        remote = Credentials(values["ice-ufrag"], values["ice-pwd"])
        loop = asyncio.get_running_loop()
        for target in candidates(offer.sdp):
            agent = IceClient(generate_credentials(), remote, [target], 1, time.monotonic_ns())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
                own.setblocking(False)
                own.bind(("127.0.0.1", 0))
                for check in agent.datagrams_to_send(time.monotonic_ns()):
                    own.sendto(check.data, check.destination)
                async with asyncio.timeout(30):
                    data, source = await loop.sock_recvfrom(own, 2048)
            assert source == target
            assert agent.receive(data, source, time.monotonic_ns()) is None
