"""Webhooks: signed, retried, repeatable, and never sent to internal addresses."""

import asyncio
import contextlib
import hmac
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import aiohttp.web
import asyncpg
import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from control.config import ControlConfig
from control.events import outgoing
from control.identity.livekit_tokens import signing_keys
from control.problem import Problem
from control.store import participants
from foundation import public_http
from foundation.addresses import ForbiddenAddress, is_public
from parley.network import allocate_port
from parley_client.webhooks import BadSignature, verify
from tests.control.harness import Client, People, report, serving
from tests.support.livekit_client import KEY, KEYS, SECRET, access_token
from tests.support.waiting import eventually


@dataclass
class Receiver:
    url: str = ""
    status: int = 200
    location: str = "http://127.0.0.1/"
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.got) < count:
                self.changed.clear()
                await self.changed.wait()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    known = Receiver()

    async def take(request: aiohttp.web.Request) -> aiohttp.web.Response:
        known.got.append((dict(request.headers), await request.read()))
        known.changed.set()
        return aiohttp.web.Response(status=known.status, headers={"Location": known.location})

    app = aiohttp.web.Application()
    app.router.add_post("/hook", take)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    known.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield known
    await runner.cleanup()


async def test_deliveries_are_signed_inspectable_and_repeatable(config: ControlConfig, receiver: Receiver) -> None:
    changed = replace(config, allow_private_webhooks=True)
    async with serving(changed) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        ada, eve = await people.user("ada"), await people.user("eve")
        made = await ada.ok("POST", "/api/v1/webhooks", {"url": receiver.url, "kinds": ["meeting.ended"]})
        await eve.ok("POST", "/api/v1/meetings", {})
        meeting = (await ada.ok("POST", "/api/v1/meetings", {}))["id"]
        await ada.ok("POST", f"/api/v1/meetings/{meeting}/end")
        await receiver.wait_for(1)
        headers, body = receiver.got[0]
        assert headers["X-Parley-Event"] == "meeting.ended"
        at, _, mac = headers["X-Parley-Signature"].removeprefix("t=").partition(",v1=")
        expected = hmac.digest(made["secret"].encode(), f"{at}.".encode() + body, "sha256").hex()
        assert mac == expected
        path = f"/api/v1/webhooks/{made['id']}/deliveries"
        delivery = await settled(ada, path, "delivered")
        assert delivery["event"]["data"] == {"meeting": meeting}
        receiver.status = 302
        await ada.ok("POST", f"{path}/{delivery['id']}/replay")
        await receiver.wait_for(2)
        failed = await settled(ada, path, "waiting")
        assert (failed["last_status"], failed["attempts"]) == (302, 1)
        assert await eve.refused("GET", path) == (404, "not_found")
        # A new secret: the old one signs beside it.
        changed_secret = (await ada.ok("POST", f"/api/v1/webhooks/{made['id']}/secret"))["secret"]
        receiver.status = 204
        await ada.ok("POST", f"{path}/{delivery['id']}/replay")
        await receiver.wait_for(3)
        headers, body = receiver.got[2]
        for secret in (made["secret"], changed_secret):
            assert verify(secret, headers["X-Parley-Signature"], body)["v"] == 1
        with pytest.raises(BadSignature):
            verify("another", headers["X-Parley-Signature"], body)
        await ada.ok("POST", f"/api/v1/webhooks/{made['id']}/test")
        await receiver.wait_for(4)
        first = await ada.ok("GET", f"{path}?limit=1")
        second = await ada.ok("GET", f"{path}?limit=1&cursor={first['next']}")
        assert [one["deliveries"][0]["kind"] for one in (first, second)] == ["webhook.test", "meeting.ended"]
        assert second["next"] is None
        assert len((await ada.ok("GET", f"{path}?kind=meeting.ended"))["deliveries"]) == 1
        assert await ada.refused("GET", f"{path}?cursor=x") == (400, "invalid_cursor")
        wide = {"url": receiver.url, "all_meetings": True}
        assert await eve.refused("POST", "/api/v1/webhooks", wide) == (403, "forbidden")


async def test_a_webhook_is_tested_whatever_its_kinds(config: ControlConfig, receiver: Receiver) -> None:
    async with serving(replace(config, allow_private_webhooks=True)) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        ada, eve = await people.user("ada"), await people.user("eve")
        made = await ada.ok("POST", "/api/v1/webhooks", {"url": receiver.url, "kinds": ["meeting.ended"]})
        path = f"/api/v1/webhooks/{made['id']}/test"
        await ada.ok("POST", path)
        await ada.ok("POST", path)
        await receiver.wait_for(2)
        assert {headers["X-Parley-Event"] for headers, _ in receiver.got} == {"webhook.test"}
        told = sorted((msgspec.json.decode(body) for _, body in receiver.got), key=lambda event: event["id"])
        assert [event["id"] for event in told] == [-2, -1]
        assert told[0]["data"] == {"webhook": made["id"]}
        assert await eve.refused("POST", path) == (404, "not_found")


async def settled(client: Client, path: str, state: str) -> Any:
    async with asyncio.timeout(30):
        while True:
            (delivery,) = (await client.ok("GET", path))["deliveries"]
            if (
                delivery["state"] == state
                and delivery["attempts"]
                and (delivery["last_status"] or 200) // 100 != (3 if state == "delivered" else 2)
            ):
                return delivery


async def test_a_receiver_that_is_slow_holds_up_its_owners_deliveries_alone(
    config: ControlConfig, receiver: Receiver
) -> None:
    """Thirty deliveries go to one that answers nothing, before another account's is made."""
    held: list[asyncio.StreamWriter] = []
    slow = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    async with (
        serving(replace(config, allow_private_webhooks=True)) as server,
        aiohttp.ClientSession() as session,
    ):
        people = People(session, server)
        ada, eve = await people.user("ada"), await people.user("eve")
        silent = f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}/"
        for _ in range(3):
            await eve.ok("POST", "/api/v1/webhooks", {"url": silent, "kinds": ["meeting.created"]})
        await ada.ok("POST", "/api/v1/webhooks", {"url": receiver.url, "kinds": ["meeting.created"]})
        for _ in range(10):
            await eve.ok("POST", "/api/v1/meetings", {})
        for _ in range(10):
            await ada.ok("POST", "/api/v1/meetings", {})
        await receiver.wait_for(10)
        connection = await asyncpg.connect(config.database_dsn)
        under_way = await connection.fetchval(
            "SELECT count(*) FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE w.url = $1"
            " AND attempts > 0 AND last_error IS NULL",
            silent,
        )
        await connection.close()
        assert under_way <= 4
    slow.close()
    for writer in held:
        writer.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0/",
        "https://user:pw@example.org/",
        "https://",
        "https://example.org:99999/",
        "https://example.org/ x",
        "file:///etc/passwd",
        "https://[::1",
        "https://127。0。0。1/",
        "https://１２７.0.0.1/",
        "https://①②⑦.⓪.⓪.①/",
        "https://[fec0::1]/",
        "https://[::7f00:1]/",
        "https://[64:ff9b:1::1]/",
        "https://[5f00::1]/",
        "https://a..b/",
        "https://" + "a" * 64 + ".com/x",
        "https://" + "a." * 127 + "com/",
        "https://" + "ü" * 60 + ".com/",
        "https://%31%32%37.0.0.1/",
        "https://example.org:0/",
    ],
)
def test_forbidden_urls(url: str) -> None:
    with pytest.raises(Problem):
        outgoing.check_url(url, allow_private=False)


@given(st.text(max_size=80))
def test_a_url_is_refused_or_taken_whatever_its_letters(host: str) -> None:
    with contextlib.suppress(Problem):
        outgoing.check_url(f"https://{host}/", allow_private=False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①", "[::ffff:127.0.0.1]"])
async def test_names_and_addresses_inside_are_not_called(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    async with outgoing.session(allow_private=False) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.post(url)
    assert isinstance(caught.value.__cause__, ForbiddenAddress)
    assert receiver.got == []


async def test_a_redirect_does_not_lead_inside(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loopback address that stands for a public one redirects to another, which counts as private."""
    monkeypatch.setattr(public_http, "is_public", lambda address: address == "127.0.0.1")
    receiver.status, receiver.location = 307, receiver.url.replace("127.0.0.1", "127.0.0.2")
    async with outgoing.session(allow_private=False) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.post(receiver.url)
    assert isinstance(caught.value.__cause__, ForbiddenAddress)
    assert len(receiver.got) == 1


async def test_a_name_that_leads_elsewhere_the_second_time(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the address that was checked is the one connected to, for each delivery."""
    answers = iter(["127.0.0.1", "127.0.0.2"])

    async def resolve(_: Any, host: str, port: int, **__: Any) -> list[dict[str, Any]]:
        found = {"hostname": host, "host": next(answers), "port": port}
        return [{**found, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    monkeypatch.setattr(public_http, "is_public", lambda address: address == "127.0.0.1")
    url = receiver.url.replace("127.0.0.1", "rebind.example")
    async with outgoing.session(allow_private=False) as session:
        assert (await session.post(url)).status == 200
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.post(url)
    assert isinstance(caught.value.__cause__, ForbiddenAddress)


@pytest.mark.parametrize(
    "address",
    ["fec0::1", "::7f00:1", "64:ff9b:1::1", "5f00::1", "64:ff9b::7f00:1", "64:ff9b::e000:101", "::ffff:10.0.0.1"],
)
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".com", "closed", "no-such-name.invalid"])
async def test_whatever_a_delivery_meets_it_is_settled_and_says_no_more_than_an_outsider_may_know(
    config: ControlConfig, host: str
) -> None:
    """Rows that an older release took are in the table; control goes on, and the delivery is tried again later."""
    url = f"http://127.0.0.1:{allocate_port()}/" if host == "closed" else f"https://{host}/"
    async with serving(replace(config, allow_private_webhooks=True)) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")
        made = await ada.ok("POST", "/api/v1/webhooks", {"url": "https://example.org/", "kinds": ["meeting.created"]})
        connection = await asyncpg.connect(config.database_dsn)
        await connection.execute("UPDATE webhooks SET url = $1", url)
        await connection.close()
        await ada.ok("POST", "/api/v1/meetings", {})
        path = f"/api/v1/webhooks/{made['id']}/deliveries"
        async with asyncio.timeout(30):
            while True:
                rows = (await ada.ok("GET", path))["deliveries"]
                if rows and rows[0]["last_error"]:
                    break
                await asyncio.sleep(0.02)
        assert [(one["state"], one["attempts"], one["last_error"]) for one in rows] == [
            ("waiting", 1, "the receiver could not be reached")
        ]


def test_public_urls_pass() -> None:
    outgoing.check_url("https://example.org/hook?x=1", allow_private=False)
    outgoing.check_url("https://1.1.1.1/", allow_private=False)


async def test_webhooks_of_livekit_are_read_by_its_own_receiver(
    config: ControlConfig, receiver: Receiver, dsn: str
) -> None:
    keys = signing_keys(KEYS)
    changed = replace(config, allow_private_webhooks=True, livekit_keys=keys, livekit_owner="Ada")
    hook = {"url": receiver.url, "all_meetings": True, "livekit_key": KEY}
    async with serving(changed) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")
        assert await ada.refused("POST", "/api/v1/webhooks", hook) == (403, "forbidden")
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE users SET role = 'admin'")
        await connection.close()
        unknown = {**hook, "livekit_key": "foreign"}
        assert await ada.refused("POST", "/api/v1/webhooks", unknown) == (400, "invalid_request")
        assert (await ada.ok("POST", "/api/v1/webhooks", hook))["secret"] is None
        async with session.get(
            f"{server.url}/rtc/validate", params={"access_token": access_token("ann", "Daily")}
        ) as answer:
            assert answer.status == 200
        (meeting,) = (await ada.ok("GET", "/api/v1/meetings"))["meetings"]
        about = {"room": meeting["id"], "at": 1}
        told = await livekit_participant(dsn, meeting["id"])
        info = {"participant": told, "name": "Ann", "identity": "ann", "metadata": "m", "joined_at": 5000}
        track = {
            "track": "t-1",
            "participant": told,
            "source": "camera",
            "media": "video",
            "codec": "VP8",
            "width": 640,
        }
        published = {**about, "participant": told, "track": "t-1"}
        await report(
            ada,
            {"kind": "room_opened", **about},
            {"kind": "participant_joined", **about, "participant": told, "name": "Ann", "info": info},
            {"kind": "track_published", **published, "source": "camera", "codec": "VP8", "info": track},
            {"kind": "track_unpublished", **published},
            {"kind": "participant_left", **about, "participant": told, "reason": "left"},
            {"kind": "room_closed", **about},
            n=1,
        )
        await receiver.wait_for(6)
        async with api.LiveKitAPI(server.url, KEY, SECRET) as application:
            output = api.EncodedFileOutput(filepath="day.mp4")
            order = api.RoomCompositeEgressRequest(room_name="Daily", file_outputs=[output])
            started = await application.egress.start_room_composite_egress(order)
            await application.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
            (listed,) = (await application.egress.list_egress(api.ListEgressRequest(room_name="Daily"))).items
        await receiver.wait_for(9)
        verifier = api.TokenVerifier(KEY, SECRET)
        events = [
            api.WebhookReceiver(verifier).receive(body.decode(), headers["Authorization"])
            for headers, body in receiver.got
        ]
    assert {headers["Content-Type"] for headers, _ in receiver.got} == {"application/webhook+json"}
    assert {event.room.name for event in events} == {"Daily"}
    assert len({event.id for event in events}) == 9
    by_kind = {event.event: event for event in events}
    joined, left = by_kind["participant_joined"].participant, by_kind["participant_left"].participant
    assert (joined.identity, joined.metadata, joined.joined_at) == ("ann", "m", 5)
    assert (left.identity, left.state, left.disconnect_reason) == ("ann", left.DISCONNECTED, 1)
    shown = by_kind["track_published"]
    assert (shown.participant.identity, shown.track.mime_type, shown.track.width) == ("ann", "video/VP8", 640)
    assert by_kind["track_unpublished"].track.sid == "TR_t-1"
    assert set(by_kind) >= {"room_started", "room_finished", "egress_started", "egress_updated"}
    ended = by_kind["egress_ended"].egress_info
    assert (ended.egress_id, ended.error) == (started.egress_id, "nobody was in the room")
    assert ended.room_composite.file_outputs[0].filepath == "day.mp4"
    assert (listed.status, listed.file_results) == (api.EgressStatus.EGRESS_ABORTED, [])


async def test_a_key_made_by_rest_signs_until_it_is_revoked(
    config: ControlConfig, receiver: Receiver, dsn: str
) -> None:
    changed = replace(config, allow_private_webhooks=True, livekit_owner="Ada")
    async with serving(changed) as server, aiohttp.ClientSession() as session:
        ada = await People(session, server).user("ada")
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE users SET role = 'admin'")
        await connection.close()
        key = await ada.ok("POST", "/api/v1/admin/livekit-keys", {"name": "shop"})
        hook = {"url": receiver.url, "all_meetings": True, "livekit_key": key["id"]}
        made = await ada.ok("POST", "/api/v1/webhooks", hook)
        async with api.LiveKitAPI(server.url, key["id"], key["secret"]) as application:
            room = await application.room.create_room(api.CreateRoomRequest(name="Daily"))
        meeting = room.sid.removeprefix("RM_")
        await report(ada, {"kind": "room_opened", "room": meeting, "at": 1}, n=1)
        await receiver.wait_for(1)
        headers, body = receiver.got[0]
        verifier = api.TokenVerifier(key["id"], key["secret"])
        event = api.WebhookReceiver(verifier).receive(body.decode(), headers["Authorization"])
        assert (event.event, event.room.name) == ("room_started", "Daily")
        await ada.ok("DELETE", f"/api/v1/admin/livekit-keys/{key['id']}")
        await report(ada, {"kind": "room_closed", "room": meeting, "at": 2}, n=2)
        path = f"/api/v1/webhooks/{made['id']}/deliveries"

        async def refused() -> str:
            rows = (await ada.ok("GET", path))["deliveries"]
            return str(rows[0]["last_error"] or "") if len(rows) == 2 else ""

        assert "key" in await eventually(refused)
    assert len(receiver.got) == 1


async def livekit_participant(dsn: str, meeting: str) -> str:
    """Return the participant of a token that was validated, as joining would have made it."""
    connection = await asyncpg.connect(dsn)
    try:
        return (await participants.with_identity(connection, meeting, "ann", "Ann")).id
    finally:
        await connection.close()
