"""Webhooks: signed, retried, repeatable, and never sent inside."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import aiohttp.web
import pytest
import pytest_asyncio

from control import outgoing
from control.config import ControlConfig
from control.problem import Problem
from tests.control.harness import Client, People, serving


@dataclass
class Receiver:
    url: str = ""
    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self.changed.clear()
                await self.changed.wait()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    known = Receiver()

    async def take(request: aiohttp.web.Request) -> aiohttp.web.Response:
        known.got.append((dict(request.headers), await request.read()))
        known.changed.set()
        return aiohttp.web.Response(status=known.status, headers={"Location": "http://127.0.0.1/"})

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
        wide = {"url": receiver.url, "all_meetings": True}
        assert await eve.refused("POST", "/api/v1/webhooks", wide) == (403, "forbidden")


async def settled(client: Client, path: str, state: str) -> Any:
    async with asyncio.timeout(5):
        while True:
            (delivery,) = (await client.ok("GET", path))["deliveries"]
            if (
                delivery["state"] == state
                and delivery["attempts"]
                and (delivery["last_status"] or 200) // 100 != (3 if state == "delivered" else 2)
            ):
                return delivery


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
    ],
)
def test_forbidden_urls(url: str) -> None:
    with pytest.raises(Problem):
        outgoing.check_url(url, allow_private=False)


async def test_names_that_resolve_inside_are_not_called(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "localhost")
    async with outgoing.session(allow_private=False) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.post(url)
    assert isinstance(caught.value.__cause__, outgoing.ForbiddenAddress)
    assert receiver.got == []


def test_public_urls_pass() -> None:
    outgoing.check_url("https://example.org/hook?x=1", allow_private=False)
    outgoing.check_url("https://1.1.1.1/", allow_private=False)
