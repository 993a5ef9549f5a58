"""ICE-TCP with our client on real sockets: accepted input, losses of a slow reader, and its cost to others."""

import asyncio
import resource
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sfu.api import signaling
from sfu.formats import stun
from sfu.formats.sdp import parse
from sfu.formats.tcp_framing import Deframer, frame
from sfu.server.tcp_listener import MAX_PATHS_PER_HOST
from tests.sfu.server.harness import Client, Host, client, host
from tests.support.ports import free_ports
from tests.support.waiting import eventually


def tcp_address(offer: signaling.Offer) -> tuple[str, int]:
    (candidate,) = [entry for entry in parse(offer.sdp).media[0].candidates if entry.transport == "tcp"]
    assert candidate.extensions == (("tcptype", "passive"),)
    assert candidate.priority < min(e.priority for e in parse(offer.sdp).media[0].candidates if e.transport == "udp")
    return candidate.address, candidate.port


def check(offer: signaling.Offer) -> bytes:
    transport = parse(offer.sdp).media[0].transport
    message = stun.Message(
        stun.MessageClass.REQUEST, secrets.token_bytes(12), username=f"{transport.ice_ufrag}:theirs", priority=1
    )
    return stun.serialize(message, (transport.ice_pwd or "").encode())


@asynccontextmanager
async def offered(h: Host) -> AsyncIterator[tuple[Client, signaling.Offer]]:
    async with client(h, h.control.token("r", "ann")) as ann:
        yield ann, await ann.until(signaling.Offer)


async def closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(30):
        return await reader.read(1) == b""


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_check_over_tcp_is_answered_with_the_clients_own_address(tmp_path: Path, address: str) -> None:
    (port,) = free_ports(1)
    async with host(tmp_path, addresses=(address,), udp_port=port) as h, offered(h) as (_, offer):
        assert tcp_address(offer) == (address, port)
        reader, writer = await asyncio.open_connection(*tcp_address(offer))
        writer.write(frame(check(offer)))
        async with asyncio.timeout(30):
            length = int.from_bytes(await reader.readexactly(2), "big")
            answer = stun.parse(await reader.readexactly(length))
        assert answer.message_class is stun.MessageClass.SUCCESS
        assert answer.xor_mapped_address == writer.get_extra_info("sockname")[:2]
        writer.close()
        await eventually(lambda: not len(h.server._listeners.tcp._paths))
        assert h.server._listeners.tcp.far_ends == {}


async def test_what_does_not_begin_with_a_check_is_closed(tmp_path: Path) -> None:
    async with host(tmp_path) as h, offered(h) as (_, offer):
        for first in (b"GET / HTTP/1.1\r\n\r\n", frame(b"\x80" + bytes(20)), b"\xff\xff"):
            reader, writer = await asyncio.open_connection(*tcp_address(offer))
            writer.write(first)
            assert await closed(reader)
            writer.close()
        assert (await h.metrics())["parley_sfu_tcp_not_ice_total"] == 1


async def test_connections_of_one_host_are_bounded(tmp_path: Path) -> None:
    async with host(tmp_path) as h, offered(h) as (_, offer):
        counters = h.node.context.counters
        held = [socket.create_connection(tcp_address(offer)) for _ in range(MAX_PATHS_PER_HOST + 3)]
        await eventually(lambda: counters["tcp_idle_closed"] == 3)  # those that came first
        assert len(h.server._listeners.tcp._paths) == MAX_PATHS_PER_HOST
        for entry in held[3:]:
            entry.sendall(frame(check(offer)))
        await eventually(lambda: not h.server._listeners.tcp._paths._idle)
        held.append(socket.create_connection(tcp_address(offer)))
        await eventually(lambda: counters["tcp_refused"] == 1)  # nobody who has begun is put out
        assert (counters["tcp_accepted"], counters["tcp_idle_closed"]) == (MAX_PATHS_PER_HOST + 3, 3)
        for entry in held:
            entry.close()
        await eventually(lambda: not len(h.server._listeners.tcp._paths))


async def test_without_descriptors_nothing_spins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Connections that cannot be accepted now wait a moment, and are served once there is room."""
    async with host(tmp_path) as h, offered(h) as (_, offer):
        counters = h.node.context.counters
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        waiting = socket.socket()
        open_now = len(list(Path("/proc/self/fd").iterdir()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_now - 1, hard))  # less than there are: none can be added
        try:
            waiting.connect(tcp_address(offer))
            await eventually(lambda: counters["tcp_accept_failed"] >= 2)
            assert counters["tcp_accept_failed"] < 20
            assert len(caplog.records) < 20
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await eventually(lambda: counters["tcp_accepted"] == 1)
        waiting.close()


async def test_a_slow_reader_loses_media_by_reason_and_holds_nothing_up(tmp_path: Path) -> None:
    async with host(tmp_path) as h, offered(h) as (_, offer):
        slow = socket.create_connection(tcp_address(offer))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(frame(check(offer)))
        (path,) = await eventually(lambda: tuple(h.server._listeners.tcp._paths))
        node = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        node.bind((h.server._listeners.tcp._node[0], 0))
        path._udp.connect(node.getsockname())
        longest = 0.0
        for _ in range(3000):
            begun = time.monotonic()
            node.sendto(b"\x80" + bytes(1000), path.address)
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - begun)
        await eventually(lambda: h.node.context.counters["tcp_dropped_queue_full"] > 1000)
        assert path._queue._bytes < 200_000
        print(f"the longest step was {longest * 1000:.1f} ms")
        await asyncio.sleep(0.5)  # what waits is late now
        slow.settimeout(30)
        deframer = Deframer()
        received = 0
        async with asyncio.timeout(30):
            while path._queue._entries:
                received += len(deframer.feed(await asyncio.to_thread(slow.recv, 65536)))
        assert h.node.context.counters["tcp_dropped_stale"] > 50
        assert received > 1
        node.close()
        slow.close()


async def test_another_port_or_none(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with host(tmp_path, tcp_port=port) as h, offered(h) as (_, offer):
        assert tcp_address(offer) == ("127.0.0.1", port)
    async with host(tmp_path, tcp_port=-1) as h, offered(h) as (_, offer):
        assert {entry.transport for entry in parse(offer.sdp).media[0].candidates} == {"udp"}
