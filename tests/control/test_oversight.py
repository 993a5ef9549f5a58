"""Administrators oversee the invitations, sessions and stream keys of all accounts."""

from dataclasses import replace

import aiohttp
import pytest

from control.config import ControlConfig
from tests.control.harness import PASSWORD, People, serving
from tests.control.test_account_security import make_admin

pytestmark = pytest.mark.asyncio


async def test_an_invitation_is_listed_until_it_is_used_or_withdrawn(config: ControlConfig) -> None:
    async with serving(replace(config, registration="invite")) as server, aiohttp.ClientSession() as session:
        people = People(session, server)
        root = await make_admin(people, config)
        await root.ok("POST", "/api/v1/admin/invitations", {"email": "Grace@example.org"})
        code = (await root.ok("POST", "/api/v1/admin/invitations", {}))["invitation"]
        listed = (await root.ok("GET", "/api/v1/admin/invitations"))["invitations"]
        assert [(one["email"], one["created_by"]) for one in listed] == [(None, "root"), ("grace@example.org", "root")]
        assert code not in str(listed)

        await people.nobody().ok(
            "POST", "/api/v1/auth/register", {"username": "ada", "password": PASSWORD, "invitation": code}
        )
        (left,) = (await root.ok("GET", "/api/v1/admin/invitations?search=grace"))["invitations"]
        await root.ok("DELETE", f"/api/v1/admin/invitations/{left['id']}")
        assert (await root.ok("GET", "/api/v1/admin/invitations"))["invitations"] == []
        assert await root.refused("DELETE", f"/api/v1/admin/invitations/{left['id']}") == (404, "not_found")


async def test_the_sessions_of_an_account_are_ended(people: People, config: ControlConfig) -> None:
    root, ada = await make_admin(people, config), await people.user("ada")
    at = f"/api/v1/admin/users/{ada.user['id']}/sessions"
    (session,) = (await root.ok("GET", at))["sessions"]
    assert not session["current"]
    await root.ok("DELETE", f"{at}/{session['id']}")
    assert (await root.ok("GET", at))["sessions"] == []
    assert (await ada.call("GET", "/api/v1/users/profile"))[0] == 401


async def test_the_stream_keys_of_all_meetings_are_listed(people: People, config: ControlConfig) -> None:
    root, ada = await make_admin(people, config), await people.user("ada")
    meeting = (await ada.ok("POST", "/api/v1/meetings", {"title": "Launch"}))["id"]
    made = await ada.ok("POST", f"/api/v1/meetings/{meeting}/stream-keys", {"name": "Encoder", "role": "publish"})
    (key,) = (await root.ok("GET", "/api/v1/admin/stream-keys?search=launch"))["keys"]
    assert (key["id"], key["owner"], key["title"], "secret" in key) == (made["id"], "ada", "Launch", False)
    await root.ok("DELETE", f"/api/v1/meetings/{meeting}/stream-keys/{key['id']}")
    assert (await root.ok("GET", "/api/v1/admin/stream-keys"))["keys"] == []
