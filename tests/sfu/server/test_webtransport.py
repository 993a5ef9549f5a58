"""Signaling over WebTransport has the same messages as over WebSocket, within the same limits."""

import asyncio
import base64
import datetime
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from foundation.followed_certificate import FollowedCertificate
from sfu.api import signaling
from sfu.server import webtransport_server
from sfu.server.short_certificate import LIFETIME, RENEWED_AFTER, ShortCertificate
from tests.sfu.server.harness import Host, client, host
from tests.sfu.server.webtransport_client import WebTransportClient, webtransport
from tests.support.http3 import flooded
from tests.support.waiting import eventually


@asynccontextmanager
async def open_host(tmp_path: Path) -> AsyncIterator[Host]:
    async with host(tmp_path, webtransport_port=0) as h:
        yield h


def port_of(h: Host) -> int:
    door = h.server.presence.record().webtransport
    assert door is not None
    return door.port


async def join(h: Host, session: WebTransportClient, who: str) -> None:
    assert await session.open() == "200"
    session.send(signaling.Join(v=1, token=h.control.token("r", who)))
    await session.until(lambda: session.of(signaling.RoomInfo) and session.of(signaling.Offer))


async def test_two_meet_over_either(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h, webtransport(port_of(h)) as ann:
        await join(h, ann, "ann")
        assert isinstance(ann.received[0], signaling.Hello)
        async with client(h, h.control.token("r", "bob")) as bob:
            await bob.until(signaling.RoomInfo)
            await bob.send(signaling.Chat(text="hi\nthere"))
            await ann.until(lambda: ann.of(signaling.Chat))
            ann.send(signaling.Chat(text="a"), signaling.Chat(text="b"))
            await bob.until(signaling.Chat, lambda chat: chat.text == "b")
        assert ann.of(signaling.Chat)[0].text == "hi\nthere"


async def test_localhost_is_reached_where_browsers_look_for_it(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h, webtransport(port_of(h), "::1") as ann:
        await join(h, ann, "ann")


async def test_those_who_only_begin_keep_nobody_else_out(tmp_path: Path) -> None:
    """Few connections are made of many first datagrams; who is really there gets in by Retry meanwhile."""
    async with open_host(tmp_path) as h:
        server = h.server._listeners.webtransport
        await flooded(port_of(h), 500)
        await eventually(lambda: server.counters["quic_retry_sent"] > 100)
        assert len(server.connections) < 30
        asked = server.counters["quic_retry_sent"]
        flooding = asyncio.create_task(flooded(port_of(h), 100_000))
        await eventually(lambda: server.counters["quic_retry_sent"] > asked + 20)
        for number in range(10):  # a few per second begin without Retry; some of these may be among them
            async with webtransport(port_of(h)) as someone:
                await join(h, someone, f"someone {number}")
            if server.counters["quic_admitted_by_retry"]:
                break
        flooding.cancel()
        assert server.counters["quic_admitted_by_retry"] > 0


async def test_connections_without_a_session_go_for_newcomers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webtransport_server, "MAX_CONNECTIONS", 8)  # two of an address
    async with open_host(tmp_path) as h, webtransport(port_of(h)) as ann:
        await join(h, ann, "ann")
        counters = h.server._listeners.webtransport.counters
        async with AsyncExitStack() as stack:
            for _ in range(3):  # they shake hands and say nothing
                await stack.enter_async_context(webtransport(port_of(h)))
            await eventually(lambda: counters["quic_idle_closed"] == 2)
            bob = await stack.enter_async_context(webtransport(port_of(h)))
            await join(h, bob, "bob")
            eve = await stack.enter_async_context(webtransport(port_of(h)))
            await eve.until(lambda: eve.closed is not None)  # both have a session
            assert counters["quic_dropped_full"] == 1
            bob.send(signaling.Chat(text="still here"))
            await ann.until(lambda: ann.of(signaling.Chat))


async def test_a_lost_session_is_resumed_by_either(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h:
        async with webtransport(port_of(h)) as ann:
            await join(h, ann, "ann")
            (info,) = ann.of(signaling.RoomInfo)
        participant = h.node.rooms["r"].participants["ann"]
        await eventually(lambda: participant.session is None)
        async with client(h, None, resume=info.resume) as again:
            assert (await again.until(signaling.RoomInfo)).resumed
        async with webtransport(port_of(h)) as ann:
            await ann.open()
            ann.send(signaling.Join(v=1, resume=info.resume))
            await ann.until(lambda: ann.of(signaling.RoomInfo))
            assert ann.of(signaling.RoomInfo)[0].resumed


async def test_leaving_and_refusals_close_with_their_codes(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h:
        async with webtransport(port_of(h)) as ann:
            await join(h, ann, "ann")
            ann.send(signaling.Leave())
            await ann.until(lambda: ann.closed is not None)
            assert ann.closed == 1000
        async with webtransport(port_of(h)) as eve:
            await eve.open()
            eve.send(signaling.Join(v=1, token="forged"))
            await eve.until(lambda: eve.closed is not None)
            assert (eve.closed, eve.of(signaling.Error)[0].code) == (1008, "bad_token")
        await eventually(lambda: not len(h.server._listeners.webtransport.connections))


async def test_too_long_a_message_ends_the_session(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h, webtransport(port_of(h)) as ann:
        await join(h, ann, "ann")
        ann.send_raw(b"x" * (signaling.MAX_MESSAGE_BYTES + 10))
        await ann.until(lambda: ann.closed is not None)
        assert ann.closed == 1009


async def test_other_paths_are_not_found(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h, webtransport(port_of(h)) as session:
        assert await session.open("/elsewhere") == "404"


async def test_who_reads_nothing_is_closed(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h, webtransport(port_of(h)) as ann:
        await join(h, ann, "ann")
        (session,) = h.server._signaling._sessions.values()
        ann.datagram_received = lambda *_: None  # type: ignore[method-assign]  # it hangs
        long = signaling.Chat(text="x" * 50_000)
        for _ in range(3000):
            h.server._signaling.deliver([(session.number, long)])
            await asyncio.sleep(0)
        assert h.server._signaling.refused["slow_client"] == 1
        link = session._connection
        assert link._unacknowledged() < 500_000
        await eventually(lambda: not h.server._signaling._sessions, 30)


async def test_a_server_that_outlives_its_certificate_goes_on_with_the_next(tmp_path: Path) -> None:
    async with open_host(tmp_path) as h:
        first = h.server.presence.record().webtransport
        async with webtransport(port_of(h)) as before:
            await join(h, before, "ann")
            server = h.server._listeners.webtransport
            assert server is not None
            assert server._short is not None
            server._short.refresh(datetime.datetime.now(datetime.UTC) + RENEWED_AFTER)
            second = h.server.presence.record().webtransport
            assert first is not None
            assert second is not None
            assert (second.port, second.hash) != (first.port, first.hash)
            async with webtransport(port_of(h)) as after:
                await join(h, after, "bob")
                served = after._quic.tls._peer_certificate
                assert base64.b64encode(served.fingerprint(hashes.SHA256())).decode() == second.hash
                before.send(signaling.Chat(text="still here"))  # earlier clients stay
                await after.until(lambda: after.of(signaling.Chat))


def test_certificates_are_short_lived_and_renewed() -> None:
    configuration = QuicConfiguration(is_client=False)
    served = ShortCertificate(configuration)
    made = configuration.certificate
    assert made.not_valid_after_utc - made.not_valid_before_utc < datetime.timedelta(days=14)
    assert base64.b64decode(served.hash) == made.fingerprint(hashes.SHA256())
    now = datetime.datetime.now(datetime.UTC)
    served.refresh(now + RENEWED_AFTER - datetime.timedelta(hours=1))
    assert configuration.certificate is made
    served.refresh(now + RENEWED_AFTER)
    assert configuration.certificate is not made
    assert LIFETIME > RENEWED_AFTER


def test_certificates_from_files_are_taken_up_when_they_change(tmp_path: Path) -> None:
    from parley.certificate import ensure

    first = ensure(tmp_path, ["one.test"], datetime.datetime.now(datetime.UTC))
    configuration = QuicConfiguration(is_client=False)
    served = FollowedCertificate(first.certificate, first.key, configuration)
    ensure(tmp_path, ["two.test"], datetime.datetime.now(datetime.UTC))
    served.refresh()
    names = configuration.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "two.test" in names.get_values_for_type(x509.DNSName)
    with pytest.raises(OSError, match="missing"):
        FollowedCertificate(tmp_path / "missing", first.key, configuration)
