"""The Python client's session beyond the lifetime of an access token."""

import asyncio

import pytest

from control.config import ControlConfig
from control.identity import tokens
from parley_client import Api
from parley_client.api import ApiError
from tests.control.harness import PASSWORD, People, serving


async def test_an_expired_access_token_is_exchanged_by_itself(
    config: ControlConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(config) as server, Api(server.url) as api:
        monkeypatch.setattr(tokens, "ACCESS_SECONDS", -1)
        await api.register("ada", PASSWORD)
        expired = api.bearer
        monkeypatch.setattr(tokens, "ACCESS_SECONDS", 300)
        # Of several at once one exchanges it: the refresh token is good for one exchange.
        listed = await asyncio.gather(*(api.request("GET", "/users/sessions") for _ in range(5)))
        assert {len(answer["sessions"]) for answer in listed} == {1}
        assert api.bearer != expired


async def test_a_session_that_was_ended_is_told(people: People, config: ControlConfig) -> None:
    del config
    url = people.nobody().server.url
    async with Api(url) as api, Api(url) as elsewhere:
        await api.register("ada", PASSWORD)
        await elsewhere.login("ada", PASSWORD)
        body = {"current_password": PASSWORD, "new_password": f"{PASSWORD}!"}
        await elsewhere.request("POST", "/users/change-password", body)
        for _ in range(2):
            with pytest.raises(ApiError) as told:
                await api.request("GET", "/users/profile")
            assert told.value.status == 401


async def test_a_client_waits_in_the_lobby_until_it_is_let_in_or_turned_away(
    people: People, config: ControlConfig
) -> None:
    del config
    url = people.nobody().server.url
    async with Api(url) as host, Api(url) as first, Api(url) as second:
        await host.register("ada", PASSWORD)
        meeting = await host.create_meeting("Lobby", lobby=True)
        let_in = asyncio.create_task(first.join(meeting, "Bob"))
        turned_away = asyncio.create_task(second.join(meeting, "Eve"))
        async with asyncio.timeout(30):
            while len(waiting := (await host.request("GET", f"/meetings/{meeting}/lobby"))["waiting"]) < 2:
                await asyncio.sleep(0.05)
        for entry in waiting:
            verb = "admit" if entry["name"] == "Bob" else "deny"
            await host.request("POST", f"/meetings/{meeting}/lobby/{entry['id']}/{verb}")
        assert (await let_in).token
        with pytest.raises(ApiError) as told:
            await turned_away
        assert (told.value.status, told.value.code) == (403, "denied")
