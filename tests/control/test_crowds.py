"""Crowds: everything that a whole office behind one address may do, and that guessing may not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from control.api import accounts
from control.config import ControlConfig, RateLimits
from control.http.limits import network
from tests.control.harness import PASSWORD, Client, People, serving

CROWD = 300


@pytest_asyncio.fixture
async def usual(config: ControlConfig) -> AsyncIterator[People]:
    """A server with the limits that it has unless told otherwise."""
    async with (
        serving(replace(config, limits=RateLimits())) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session,
    ):
        yield People(session, server)


async def meeting_of(host: Client, **body: Any) -> str:
    return str((await host.ok("POST", "/api/v1/meetings", body))["id"])


async def test_three_hundred_of_one_address_join_wait_and_come_back(config: ControlConfig) -> None:
    config = replace(
        config, limits=RateLimits(address_requests=4 * CROWD), max_participants=500
    )  # the usual one is 6000
    joined: list[dict[str, Any]] = []
    async with serving(config) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        host = await people.user("ada")
        meeting = await meeting_of(host, passcode="sesame", settings={"lobby": True})
        join = f"/api/v1/meetings/{meeting}/join"

        async def enter(number: int) -> tuple[int, Any]:
            guest = people.nobody()
            await guest.ok("GET", f"/api/v1/meetings/{meeting}/summary")
            return await guest.call("POST", join, {"name": f"Guest {number}", "passcode": "sesame"})

        entered = await asyncio.gather(*(enter(number) for number in range(CROWD)))
        assert {status for status, _ in entered} == {202}
        tickets = [answer["lobby_ticket"] for _, answer in entered]

        async def ask(ticket: str) -> tuple[int, Any]:
            return await people.nobody().call("POST", join, {"name": "Guest", "lobby_ticket": ticket})

        for _ in range(4):  # the page's request every two seconds, counted for each guest separately
            assert {status for status, _ in await asyncio.gather(*map(ask, tickets))} == {202}
        waiting = (await host.ok("GET", f"/api/v1/meetings/{meeting}/lobby"))["waiting"]
        assert len(waiting) == CROWD
        for entry in waiting:
            await host.ok("POST", f"/api/v1/meetings/{meeting}/lobby/{entry['id']}/admit")
        answers = await asyncio.gather(*map(ask, tickets))
        assert {status for status, _ in answers} == {200}
        joined = [answer for _, answer in answers]

    async with serving(config) as server, aiohttp.ClientSession() as session:
        back = People(session, server)

        async def rejoin(before: dict[str, Any]) -> tuple[int, Any]:
            return await back.nobody().call("POST", join, {"rejoin_secret": before["rejoin_secret"]})

        answers = await asyncio.gather(*map(rejoin, joined))
        assert {status for status, _ in answers} == {200}
        assert [answer["participant"] for _, answer in answers] == [before["participant"] for before in joined]


async def test_the_ticket_is_the_proof_of_the_passcode(usual: People) -> None:
    host = await usual.user("ada")
    meeting = await meeting_of(host, passcode="sesame", settings={"lobby": True})
    base = f"/api/v1/meetings/{meeting}"
    _, first = await usual.nobody().call("POST", f"{base}/join", {"name": "Bob", "passcode": "sesame"})
    again = {"name": "Bob", "lobby_ticket": first["lobby_ticket"]}
    for _ in range(60):
        assert (await usual.nobody().call("POST", f"{base}/join", again))[0] == 202
    (entry,) = (await host.ok("GET", f"{base}/lobby"))["waiting"]
    await host.ok("POST", f"{base}/lobby/{entry['id']}/admit")
    answers = await asyncio.gather(*(usual.nobody().call("POST", f"{base}/join", again) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] + 7 * [403]  # a ticket admits one


async def test_who_was_let_in_keeps_the_ticket_while_the_room_takes_nobody(usual: People) -> None:
    host = await usual.user("ada")
    meeting = await meeting_of(host, settings={"lobby": True})
    base = f"/api/v1/meetings/{meeting}"
    _, first = await usual.nobody().call("POST", f"{base}/join", {"name": "Bob"})
    (entry,) = (await host.ok("GET", f"{base}/lobby"))["waiting"]
    await host.ok("POST", f"{base}/lobby/{entry['id']}/admit")
    again = {"name": "Bob", "lobby_ticket": first["lobby_ticket"]}
    await host.ok("PUT", base, {"settings": {"lobby": True, "locked": True}})
    assert await usual.nobody().refused("POST", f"{base}/join", again) == (403, "locked")
    await host.ok("PUT", base, {"settings": {"lobby": True, "locked": False}})
    await usual.nobody().ok("POST", f"{base}/join", again)


async def test_an_office_signs_up_at_once_but_not_without_end(usual: People, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.gather(*(usual.user(f"colleague-{number}") for number in range(60)))
    monkeypatch.setattr(accounts, "OFFICE", 60)
    body = {"username": "one-more", "password": PASSWORD, "mode": "token"}
    refused = await usual.nobody().refused("POST", "/api/v1/auth/register", body)
    assert refused == (429, "too_many_requests")


@pytest.mark.parametrize(("bars", "addresses"), [({"passcode_failures": 5}, 1), ({"meeting_failures": 5}, 5)])
async def test_guessing_ends_by_address_and_by_meeting(
    config: ControlConfig, bars: dict[str, int], addresses: int
) -> None:
    limits = replace(RateLimits(), **bars)
    config = replace(config, limits=limits, trusted_proxies=("127.0.0.1",))
    async with serving(config) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        host = await people.user("ada")
        meeting = await meeting_of(host, passcode="sesame")
        join = f"/api/v1/meetings/{meeting}/join"

        async def attempt(passcode: str, address: int) -> tuple[int, Any]:
            body = {"name": "Eve", "passcode": passcode}
            return await people.nobody().call("POST", join, body, **{"X-Forwarded-For": f"192.0.2.{address}"})

        for _ in range(20):  # who is right is never counted
            assert (await attempt("sesame", 0))[0] == 200
        guesses = await asyncio.gather(*(attempt(f"guess-{n}", n % addresses) for n in range(40)))
        codes = [answer["code"] for _, answer in guesses]
        assert codes.count("wrong_passcode") == 5
        assert codes.count("too_many_requests") == 35
        assert (await attempt("sesame", 0))[0] == 429
        elsewhere = await attempt("sesame", 99)
        assert elsewhere[0] == (429 if "meeting_failures" in bars else 200)


async def test_guesses_at_once_learn_no_more_than_guesses_in_turn(config: ControlConfig) -> None:
    config = replace(config, limits=RateLimits(passcode_failures=3))
    async with serving(config) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        meeting = await meeting_of(await people.user("ada"), passcode="sesame")
        bodies = [{"name": "Eve", "passcode": f"guess-{n}"} for n in range(40)] + [
            {"name": "Eve", "passcode": "sesame"}
        ]
        path = f"/api/v1/meetings/{meeting}/join"
        answers = await asyncio.gather(*(people.nobody().call("POST", path, body) for body in bodies))
        assert answers[-1][0] == 429


async def test_passcodes_have_a_least_length(usual: People) -> None:
    host = await usual.user("ada")
    assert (await host.refused("POST", "/api/v1/meetings", {"passcode": "12345"}))[0] == 400
    meeting = await meeting_of(host, passcode="123456")
    assert (await host.refused("PUT", f"/api/v1/meetings/{meeting}", {"passcode": "1"}))[0] == 400


async def test_failed_sign_ins_alone_count_for_an_address(config: ControlConfig) -> None:
    config = replace(config, limits=RateLimits(sign_in_failures=3))
    async with serving(config) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        await people.user("ada")
        right = {"username": "ada", "password": "correct horse battery", "mode": "token"}
        for _ in range(8):
            await people.nobody().ok("POST", "/api/v1/auth/login", right)
        for number in range(3):
            guess = {"username": f"user-{number}", "password": "guess"}
            assert (await people.nobody().refused("POST", "/api/v1/auth/login", guess))[0] == 401
        assert (await people.nobody().refused("POST", "/api/v1/auth/login", right))[0] == 429


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1%eth0", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_subscriber_counts_as_one(address: str, counted_as: str) -> None:
    assert network(address) == counted_as
