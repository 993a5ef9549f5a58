"""Removed people stay out, even in a new tab or under another name, until a host readmits them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from control.config import ControlConfig
from tests.control.harness import Client, Node, People, Server, serving

HOME, OFFICE = "192.0.2.1", "198.51.100.7"


class Browsers:
    """Browsers that keep cookies, each behind an address that a trusted proxy tells."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._open: list[aiohttp.ClientSession] = []

    def one(self, address: str) -> Client:
        jar = aiohttp.CookieJar(unsafe=True)  # the server is at a bare address
        self._open.append(aiohttp.ClientSession(cookie_jar=jar))
        return Client(self._open[-1], self._server, {"X-Forwarded-For": address})

    async def close(self) -> None:
        for session in self._open:
            await session.close()


@pytest_asyncio.fixture
async def stage(config: ControlConfig) -> AsyncIterator[tuple[Browsers, People]]:
    config = replace(config, trusted_proxies=("127.0.0.1",))
    async with serving(config) as server, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        browsers = Browsers(server)
        yield browsers, People(session, server)
        await browsers.close()


async def held(host: Client, **body: Any) -> str:
    return f"/api/v1/meetings/{(await host.ok('POST', '/api/v1/meetings', body))['id']}"


@pytest.mark.parametrize("address", [HOME, OFFICE])
async def test_a_removed_guest_stays_out_by_the_browser(stage: tuple[Browsers, People], address: str) -> None:
    browsers, people = stage
    host = await people.user("ada")
    base = await held(host)
    guest = browsers.one(HOME)
    joined = await guest.ok("POST", f"{base}/join", {"name": "Mal"})
    await host.ok("POST", f"{base}/participants/{joined['participant']}/remove", {})
    guest.headers = {"X-Forwarded-For": address}
    assert await guest.refused("POST", f"{base}/join", {"name": "Somebody else"}) == (403, "removed")
    elsewhere = await held(host)
    await guest.ok("POST", f"{elsewhere}/join", {"name": "Mal"})  # a removal is of one meeting


async def test_who_comes_from_the_same_address_waits_and_others_do_not(stage: tuple[Browsers, People]) -> None:
    browsers, people = stage
    host = await people.user("ada")
    base = await held(host)
    colleague, mal = browsers.one(OFFICE), browsers.one(OFFICE)
    known = await colleague.ok("POST", f"{base}/join", {"name": "Colleague"})
    joined = await mal.ok("POST", f"{base}/join", {"name": "Mal"})
    await host.ok("POST", f"{base}/participants/{joined['participant']}/remove", {})

    await colleague.ok("POST", f"{base}/join", {"rejoin_secret": known["rejoin_secret"]})
    await browsers.one(HOME).ok("POST", f"{base}/join", {"name": "From home"})
    await (await people.user("bea")).ok("POST", f"{base}/join", {}, **{"X-Forwarded-For": OFFICE})  # an account
    private = browsers.one(OFFICE)  # a private window, or another colleague
    status, waiting = await private.call("POST", f"{base}/join", {"name": "New"})
    assert status == 202
    again = {"name": "New", "lobby_ticket": waiting["lobby_ticket"]}
    assert (await private.call("POST", f"{base}/join", again))[0] == 202
    (entry,) = (await host.ok("GET", f"{base}/lobby"))["waiting"]
    await host.ok("POST", f"{base}/lobby/{entry['id']}/admit")
    await private.ok("POST", f"{base}/join", again)


async def test_a_removed_account_does_not_come_back_as_a_guest(stage: tuple[Browsers, People]) -> None:
    browsers, people = stage
    host, eve = await people.user("ada"), await people.user("eve")
    base = await held(host)
    browser = browsers.one(HOME)
    signed_in = Client(browser.session, browser.server, {**browser.headers, **eve.headers})
    joined = await signed_in.ok("POST", f"{base}/join", {})
    await host.ok("POST", f"{base}/participants/{joined['participant']}/remove", {"ban": True})
    assert await signed_in.refused("POST", f"{base}/join", {}) == (403, "removed")
    assert await browser.refused("POST", f"{base}/join", {"name": "Not Eve"}) == (403, "removed")


async def test_hosts_let_people_back_in(stage: tuple[Browsers, People], node: Node) -> None:
    browsers, people = stage
    host, eve = await people.user("ada"), await people.user("eve")
    base = await held(host)
    guest = browsers.one(HOME)
    bob = (await guest.ok("POST", f"{base}/join", {"name": "Bob"}))["participant"]
    person = (await eve.ok("POST", f"{base}/join", {}))["participant"]
    for one, ban in ((bob, False), (person, True)):
        await host.ok("POST", f"{base}/participants/{one}/remove", {"ban": ban})
    listed = (await host.ok("GET", f"{base}/participants"))["participants"]
    assert {one["name"] for one in listed if one["removed"]} == {"Bob", "eve"}

    assert await guest.refused("POST", f"{base}/participants/{bob}/readmit") == (401, "not_signed_in")
    assert await eve.refused("POST", f"{base}/participants/{person}/readmit") == (403, "forbidden")
    for one in (bob, person):
        await host.ok("POST", f"{base}/participants/{one}/readmit")
    listed = (await host.ok("GET", f"{base}/participants"))["participants"]
    assert not any(one["removed"] for one in listed)
    state = await node.wait_for_version(5)
    assert (state.get("removed", []), state.get("banned_users", [])) == ([], [])
    await guest.ok("POST", f"{base}/join", {"name": "Bob"})
    await eve.ok("POST", f"{base}/join", {})
    assert await host.refused("POST", f"{base}/participants/nobody/readmit") == (404, "not_found")


async def test_what_recognises_people_is_kept_as_hashes_that_tell_nothing_elsewhere(
    stage: tuple[Browsers, People], dsn: str
) -> None:
    browsers, people = stage
    host = await people.user("ada")
    guest = browsers.one(HOME)
    for base in (await held(host), await held(host)):
        await guest.ok("POST", f"{base}/join", {"name": "Bob"})
    (cookie,) = guest.session.cookie_jar
    assert (cookie.key, cookie["httponly"], cookie["samesite"]) == ("parley-browser", True, "Lax")
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT browser_mark, network_mark FROM meeting_participants")
    await connection.close()
    assert len(rows) == 2
    marks = {bytes(mark) for row in rows for mark in row}
    assert len(marks) == 4
    assert all(len(mark) == 32 for mark in marks)
