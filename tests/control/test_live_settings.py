"""Settings that administrators change: each takes effect at once, and in other processes soon after."""

import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp

from control.config import ControlConfig
from control.database import session
from control.runtime_settings import RuntimeSettings
from control.store import live_settings
from foundation.hot_settings import LiveSettings
from foundation.settings import LIVE, resolve
from parley.config_command import with_stored
from parley.part_configs import live_fields
from tests.control.harness import NODE_SECRET, PASSWORD, Client, People, Server, serving
from tests.control.test_ai_setup import administrator
from tests.support.waiting import eventually

SETTINGS = "/api/v1/admin/settings"
MEETINGS = "/api/v1/meetings"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


@contextlib.asynccontextmanager
async def server_of(config: ControlConfig, given: dict[str, Any]) -> AsyncIterator[tuple[Server, People]]:
    """Run control with settings that flags gave."""
    live = LiveSettings(resolve(given, {}), {})
    config = replace(config, **live_fields(live.current) | {"limits": config.limits})
    async with (
        serving(config, RuntimeSettings(config, live, live_fields)) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield server, People(session, server)


async def change(admin: Client, **values: Any) -> dict[str, dict[str, Any]]:
    answer = await admin.ok("PATCH", SETTINGS, {"settings": values})
    return {one["name"]: one for one in answer["settings"]}


async def test_each_change_takes_effect_in_the_next_request(config: ControlConfig) -> None:
    async with server_of(config, {}) as (_, people):
        admin = await administrator(people, config)
        register = {"username": "eve", "password": PASSWORD, "mode": "token"}
        assert (await change(admin, registration="closed"))["registration"]["changed_by"] == "root"
        refused = await people.nobody().refused("POST", "/api/v1/auth/register", register)
        assert refused == (403, "registration_closed")
        await change(admin, registration="open", default_lobby=True, default_consent="implied", default_captions=False)
        await change(admin, default_recording_notice="zh-CN")
        host = await people.user("ada")
        made = await host.ok("POST", MEETINGS, {"settings": {"captions": True, "consent": None}})
        assert {name: made["settings"][name] for name in ("lobby", "captions", "consent", "recording_notice")} == {
            "lobby": True,
            "captions": True,
            "consent": "implied",
            "recording_notice": "zh-CN",
        }
        meeting = f"{MEETINGS}/{made['id']}"
        await host.ok("PATCH", meeting, {"settings": {"lobby": False}})
        await change(admin, guests=False, recording=False)
        summary = await people.nobody().ok("GET", f"{meeting}/summary")
        assert (summary["guests"], summary["recordable"]) == (False, False)
        assert await people.nobody().refused("POST", f"{meeting}/join", {"name": "Bob"}) == (401, "not_signed_in")
        assert await host.refused("POST", f"{meeting}/recording/start") == (403, "recording_off")
        await change(admin, guests=None, recording=None, max_participants=1)
        await people.nobody().ok("POST", f"{meeting}/join", {"name": "Bob"})
        assert await host.refused("POST", f"{meeting}/join", {}) == (403, "full"), "the node would refuse the host too"
        await change(admin, brand_name="Huddle & Co", brand_links=["Help=https://example.org/help"], quota_bytes=5)
        logo = f"data:image/svg+xml;base64,{b64encode(SVG).decode()}"
        settings = await change(admin, brand_logo=logo)
        assert (settings["brand_logo"]["type"], settings["brand_logo"]["value"]) == ("picture", logo)
        async with host.session.get(f"{host.server.url}/brand/logo") as answer:
            assert (answer.content_type, await answer.read()) == ("image/svg+xml", SVG)
            assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        page = (await people.nobody().call("GET", "/"))[1].decode()
        assert "Huddle &amp; Co" in page and "/brand/logo" in page and "https://example.org/help" in page
        url = f"{host.server.url}/api/v1/media/upload?name=a.bin"
        async with host.session.post(url, data=b"more than five", headers=host.headers) as answer:
            assert answer.status in {413, 507}, await answer.text()
        shown, entry = (await admin.ok("GET", "/api/v1/admin/audit?action=change_settings"))["entries"][:2]
        assert entry["detail"]["changes"]["quota_bytes"] == {"from": None, "to": 5}
        assert shown["detail"]["changes"]["brand_logo"]["to"].startswith("data:image/svg+xml, ")


async def test_what_is_wrong_or_set_elsewhere_changes_nothing(config: ControlConfig) -> None:
    async with server_of(config, {"max_participants": 40}) as (_, people):
        admin = await administrator(people, config)
        for values, refusal in (
            ({"http_port": 1}, (404, "no_such_setting")),
            ({"max_participants": 50}, (409, "setting_locked")),
            ({"registration": "often"}, (422, "invalid_setting")),
            ({"guests": "no"}, (422, "invalid_setting")),
            ({"keep_chat_days": 0}, (422, "invalid_setting")),
            ({"limit_waiting": True}, (422, "invalid_setting")),
            ({"brand_links": ["javascript:alert(1)"]}, (422, "invalid_setting")),
            ({"brand_name": " "}, (422, "invalid_setting")),
            ({"brand_logo": "/etc/passwd.svg"}, (422, "invalid_setting")),
            ({"brand_logo": "data:image/png;base64,YWJj"}, (422, "invalid_setting")),
            ({"brand_logo": "data:text/html;base64,YWJj"}, (422, "invalid_setting")),
            ({"brand_logo": f"data:image/svg+xml;base64,{b64encode(SVG * 2_500).decode()}"}, (422, "invalid_setting")),
            ({"guests": False, "brand_accent": "#ffffff"}, (422, "invalid_setting")),
        ):
            assert await admin.refused("PATCH", SETTINGS, {"settings": values}) == refusal, values
        settings = {one["name"]: one for one in (await admin.ok("GET", SETTINGS))["settings"]}
        assert settings.keys() == LIVE.keys()
        assert {one["source"] for one in settings.values()} == {"default", "environment"}
        assert settings["max_participants"] | {"locked": True, "value": 40} == settings["max_participants"]


async def test_other_processes_follow_and_a_new_one_begins_with_the_values(config: ControlConfig) -> None:
    async with server_of(config, {}) as (_, people), serving(config) as other:
        admin = await administrator(people, config)
        await change(admin, max_participants=7, log_level="warning", registration_domains=["example.org"])
        await change(admin, brand_logo=f"data:image/svg+xml;base64,{b64encode(SVG).decode()}")
        url, headers = f"{other.internal}/internal/v1/settings", {"Authorization": f"Bearer {NODE_SECRET}"}
        async with admin.session.get(url, headers=headers) as answer:
            stored = (await answer.json())["settings"]
        assert stored == {"max_participants": 7, "log_level": "warning", "registration_domains": ["example.org"]}
        async with admin.session.get(url) as answer:
            assert answer.status == 401
    live = LiveSettings(resolve({}, {}), {})
    runtime = RuntimeSettings(replace(config, embedded=True), live, live_fields)
    async with serving(config, runtime):
        await eventually(lambda: runtime.config.max_participants == 7)
        async with session(config.database_dsn) as connection:
            told = with_stored(resolve({"log_level": "info"}, {}), await live_settings.rows(connection))
        assert (told["max_participants"], told["log_level"]) == (7, "info")
        assert told.source("max_participants").startswith("admin page (root, 20")
        assert runtime.config.registration_domains == ("example.org",)
