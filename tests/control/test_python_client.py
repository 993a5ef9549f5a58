"""The Python client's session over longer than an access token holds."""

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
