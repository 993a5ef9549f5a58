"""Datagrams from strangers cost nothing and affect nobody."""

import asyncio
import os
import random
import socket
import time
from pathlib import Path

import pytest

from sfu.api import signaling
from sfu.formats.sdp import Fingerprint
from sfu.machines.dtls.association import Dtls, DtlsState
from sfu.machines.dtls.certificate import generate_certificate
from sfu.machines.ice.client import IceClient
from sfu.machines.ice.lite import Credentials, generate_credentials
from sfu.machines.negotiation.agreement import DtlsRole
from tests.sfu.server.aiortc_caller import Caller
from tests.sfu.server.harness import Host, client, host
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def test_garbage_leaves_a_call_and_memory_alone(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        client(h, h.control.token("r", "ann")) as ann,
        client(h, h.control.token("r", "bob")) as bob,
    ):
        caller, watcher = Caller(ann), Caller(bob)
        try:
            tracks = await caller.publish_both()
            await eventually(lambda: watcher.frames_of(tracks["microphone"]) > 10, 30)
            randomness = random.Random(7)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.connect(("127.0.0.1", h.server.udp_port))
                await flood(stranger, randomness, 2000)
                before = resident_bytes()
                heard = watcher.frames_of(tracks["microphone"])
                await flood(stranger, randomness, 20_000)
            await eventually(lambda: watcher.frames_of(tracks["microphone"]) > heard + 10)
            assert resident_bytes() - before < 16 * 1024 * 1024
            metrics = await h.metrics()
            assert metrics['parley_sfu_drops_total{reason="not_webrtc"}'] > 1000
            assert metrics['parley_sfu_drops_total{reason="unknown_source"}'] > 1000
            assert metrics['parley_sfu_stun_refused_total{reason="malformed"}'] > 100
        finally:
            await caller.close()
            await watcher.close()


async def flood(stranger: socket.socket, randomness: random.Random, datagrams: int) -> None:
    """Send datagrams of every first byte, letting the loop serve in between."""
    for number in range(datagrams):
        body = randomness.randbytes(randomness.randrange(1, 200))
        stranger.send(bytes([number % 256]) + body)
        if number % 50 == 0:
            await asyncio.sleep(0)


async def test_a_wrong_ufrag_is_refused_with_a_reason(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        subscription = h.node.rooms["r"].participants["ann"].subscription
        assert subscription is not None
        peer = subscription.subscribe_peer.peer
        right = peer._ice.credentials
        address = ("127.0.0.1", h.server.udp_port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for credentials in (Credentials("someone", right.pwd), Credentials(right.ufrag, "x" * 24)):
                agent = IceClient(generate_credentials(), credentials, [address], 1, time.monotonic_ns())
                for check in agent.datagrams_to_send(time.monotonic_ns()):
                    stranger.sendto(check.data, check.destination)
            await eventually(lambda: h.node.context.counters["stun_wrong_ufrag"] >= 1)
            await eventually(lambda: h.node.context.counters["stun_wrong_integrity"] >= 1)
        assert peer._ice.selected is None


async def test_a_wrong_fingerprint_gets_no_keys(tmp_path: Path) -> None:
    async with host(tmp_path) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        promised, shown = generate_certificate(), generate_certificate()
        local = generate_credentials()
        await ann.send(signaling.Offer(peer="publish", sdp=_offer(local, promised.fingerprints[0])))
        answer = await ann.until(signaling.Answer)
        values = dict(line[2:].split(":", 1) for line in answer.sdp.split("\r\n") if ":" in line)
        remote = Credentials(values["ice-ufrag"], values["ice-pwd"])
        digest = Fingerprint(*values["fingerprint"].split(" ", 1))
        reason = await _shake_hands(h, local, remote, Dtls(shown), digest)
        assert reason == "peer_fingerprint_mismatch"
        assert h.node.rooms["r"].participants["ann"].publish is None
        await ann.send(signaling.Ping(id=1))
        await ann.until(signaling.Pong)


async def _shake_hands(h: Host, local: Credentials, remote: Credentials, dtls: Dtls, digest: Fingerprint) -> str:
    """Check by ICE, then DTLS as client, until the node closes the peer; returns the counter that tells why."""
    address = ("127.0.0.1", h.server.udp_port)
    agent = IceClient(local, remote, [address], 1, time.monotonic_ns())
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.setblocking(False)
        own.bind(("127.0.0.1", 0))
        async with asyncio.timeout(30):
            while True:
                now = time.monotonic_ns()
                for check in agent.datagrams_to_send(now):
                    own.sendto(check.data, check.destination)
                if agent.selected and dtls.state is DtlsState.NEW:
                    dtls.start(DtlsRole.CLIENT, [digest], now)
                for data in dtls.datagrams_to_send():
                    own.sendto(data, address)
                reasons = [name for name in h.node.context.counters if name.startswith("peer_")]
                if reasons:
                    return reasons[0]
                try:
                    async with asyncio.timeout(0.1):
                        data, source = await loop.sock_recvfrom(own, 2048)
                except TimeoutError:
                    agent.handle_timer(time.monotonic_ns())
                    dtls.handle_timer(time.monotonic_ns())
                    continue
                if data[0] < 4:
                    agent.receive(data, source, time.monotonic_ns())
                else:
                    dtls.receive(data, time.monotonic_ns())


def _offer(local: Credentials, fingerprint: Fingerprint) -> str:
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
        "a=setup:actpass",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
    ]
    return "".join(line + "\r\n" for line in lines)
