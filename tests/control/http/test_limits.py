"""Rate limits count networks, accounts and known browsers, and include refused requests."""

import asyncio
from dataclasses import replace

import aiohttp
import asyncpg
import pytest

from control.config import ControlConfig, RateLimits
from control.http.limits import Limits, network
from control.live_state import LiveState
from control.problem import Problem
from tests.control.harness import PASSWORD, Client, People, Server, serving
from tests.control.test_accounts import browser

LOGIN = "/api/v1/auth/login"
RIGHT = {"username": "ada", "password": PASSWORD}
WRONG = {"username": "ada", "password": "a guess"}


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1%eth0", "2001:db8:1:3::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, counted: str) -> None:
    assert network(address) == counted


def test_what_is_used_up_is_refused_without_being_counted() -> None:
    limits = Limits(LiveState(None))
    for _ in range(3):
        limits.check_requests("a", 3)
        limits.request("a", 3)
    for _ in range(5):
        with pytest.raises(Problem) as refused:
            limits.check_requests("a", 3)
        assert (refused.value.status, refused.value.headers["RateLimit-Limit"]) == (429, "3")
    limits.check_requests("b", 3)


def from_afar(server: Server, session: aiohttp.ClientSession, number: int) -> Client:
    return Client(session, server, {"X-Forwarded-For": f"2001:db8:{number:x}::{number:x}"})


async def test_strangers_do_not_lock_out_a_browser_that_is_known(config: ControlConfig) -> None:
    changed = replace(config, trusted_proxies=("127.0.0.1",))
    async with serving(changed) as server, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        owner = browser(server)
        async with owner.session:
            await owner.sign_up("ada")
            await owner.ok("POST", "/api/v1/auth/logout")
            owner.headers = {"Origin": server.url}
            for stranger in range(10):
                client = from_afar(server, session, stranger)
                for _ in range(10):
                    assert await client.refused("POST", LOGIN, WRONG) == (401, "wrong_credentials")
                assert await client.refused("POST", LOGIN, WRONG) == (429, "too_many_requests")
            # The account is closed to strangers, wherever they are; its own browser signs in, guesses beside it or not.
            assert await from_afar(server, session, 99).refused("POST", LOGIN, RIGHT) == (429, "too_many_requests")
            await owner.ok("POST", LOGIN, RIGHT)


async def test_a_known_browser_is_limited_too_and_knows_only_its_accounts(server: Server, people: People) -> None:
    await people.user("eve")
    owner = browser(server)
    async with owner.session:
        await owner.sign_up("ada")
        await owner.ok("POST", "/api/v1/auth/logout")
        owner.headers = {"Origin": server.url}
        for _ in range(10):
            assert await owner.refused("POST", LOGIN, WRONG) == (401, "wrong_credentials")
        assert await owner.refused("POST", LOGIN, RIGHT) == (429, "too_many_requests")
        await people.nobody().ok("POST", LOGIN, {**RIGHT, "mode": "token"})  # counted apart
        of_eve = {"username": "eve", "password": "a guess"}
        for _ in range(10):
            assert await owner.refused("POST", LOGIN, of_eve) == (401, "wrong_credentials")
        assert await people.nobody().refused("POST", LOGIN, of_eve) == (429, "too_many_requests")


async def test_one_guesser_closes_the_account_to_its_own_network_alone(config: ControlConfig) -> None:
    changed = replace(config, trusted_proxies=("127.0.0.1",))
    async with serving(changed) as server, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        await People(session, server).user("ada")
        guesser = from_afar(server, session, 1)
        for _ in range(10):
            await guesser.refused("POST", LOGIN, WRONG)
        neighbour = Client(session, server, {"X-Forwarded-For": "2001:db8:1::ffff"})
        assert await neighbour.refused("POST", LOGIN, RIGHT) == (429, "too_many_requests")
        await from_afar(server, session, 2).ok("POST", LOGIN, RIGHT)


async def test_refused_requests_count_and_then_ask_the_database_nothing(config: ControlConfig, dsn: str) -> None:
    async with (
        serving(replace(config, limits=RateLimits(account_requests=20, address_requests=20))) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        people = People(session, server)
        ada = await people.user("ada")
        strangers = [
            (people.nobody(), "/api/v1/meetings", 401),
            (people.bearer("parley_wrong"), "/api/v1/meetings", 401),
            (people.nobody(), "/api/v1/meetings/abc-defg-hij/summary", 404),
        ]
        statuses = [(await client.refused("GET", path))[0] for client, path, _ in strangers for _ in range(10)]
        assert statuses[:10] == [401] * 10
        assert statuses[-10:] == [429] * 10
        connection = await asyncpg.connect(dsn)
        async with asyncio.timeout(30), connection.transaction():
            await connection.execute("LOCK TABLE api_keys, meetings IN ACCESS EXCLUSIVE MODE")  # a query would wait
            for client, path, _ in strangers:
                assert await client.refused("GET", path) == (429, "too_many_requests")
        await connection.close()
        # An account at the same address is not affected, and the operator's probes are not limited.
        await ada.ok("GET", "/api/v1/meetings")
        for _ in range(30):
            assert (await people.nobody().call("GET", "/health/live"))[0] == 200
        forbidden = [(await ada.call("GET", "/api/v1/admin/users"))[0] for _ in range(25)]
        assert set(forbidden[:10]) == {403} and set(forbidden[-5:]) == {429}
