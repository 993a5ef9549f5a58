"""Several control processes on the same ports: one may end unnoticed, and none caches a session."""

from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
import pytest

from control.config import ControlConfig
from control.http import listeners
from tests.control.harness import Client, People, Server, serving


def test_a_port_is_shared_only_where_all_say_so() -> None:
    first = listeners.bind("127.0.0.1:0", shared=True)
    address = listeners.address_of(first)
    listeners.bind(address, shared=True).close()
    with pytest.raises(OSError, match=f"cannot listen on {address}"):
        listeners.bind(address)
    first.close()


async def test_another_process_on_the_port_serves_when_the_first_ends(config: ControlConfig) -> None:
    config = replace(config, share_ports=True)
    async with AsyncExitStack() as stack:
        async with serving(config) as first, aiohttp.ClientSession() as session:
            ada = await People(session, first).user("ada")
            same = replace(config, http_binds=(first.addresses.http[0],), internal_bind=first.addresses.internal)
            await stack.enter_async_context(serving(replace(same, embedded=False)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for _ in range(20):
            await Client(session, first, {**ada.headers, "Connection": "close"}).ok("GET", "/api/v1/users/profile")


async def test_who_signs_out_at_one_process_is_signed_out_at_all(
    people: People, server: Server, config: ControlConfig
) -> None:
    async with (
        serving(replace(config, embedded=False)) as second,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        ada = await people.user("ada")
        there = Client(session, second, dict(ada.headers))
        await there.ok("GET", "/api/v1/users/profile")
        await ada.ok("POST", "/api/v1/auth/logout")
        assert (await there.call("GET", "/api/v1/users/profile"))[0] == 401
