"""Telephones in control: PINs and their limits, the lobby, what hosts may dial, and reports of calls."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import msgspec
import pytest

from control import phone_calls
from control.api.phones import dialled, is_allowed
from control.config import ControlConfig, PhonePolicy
from control.problem import Problem
from sfu.api.phone import Entered, EnterMeeting, PhoneOrders, PhoneReport, PhoneState
from tests.control.harness import NODE_SECRET, Client, People, serving

POLICY = PhonePolicy(numbers=("+44 20 7946 0000",), prefixes=("+44", "!+449"), meeting_calls=3)


@pytest.fixture
async def host(config: ControlConfig) -> AsyncIterator[Client]:
    config = dataclasses.replace(config, phone=POLICY)
    async with serving(config) as server, aiohttp.ClientSession() as session:
        yield await People(session, server).user("ada")


async def ask(host: Client, path: str, wish: msgspec.Struct, kind: type) -> Any:
    url = f"{host.server.internal}/internal/v1/phone/{path}"
    headers = {"Authorization": f"Bearer {NODE_SECRET}"}
    async with host.session.post(url, data=msgspec.json.encode(wish), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return msgspec.convert(await answer.json(), kind)


async def enter(host: Client, pin: str = "", call: str = "", caller: str = "+442079460123") -> Entered:
    return await ask(host, "enter", EnterMeeting(instance="one", pin=pin, call=call, caller=caller), Entered)


async def told(host: Client, instance: str, free: int = 0, **calls: PhoneState) -> PhoneOrders:
    report = PhoneReport(instance=instance, free=free, trunk="ready", calls=calls)
    return await ask(host, "report", report, PhoneOrders)


async def meeting_of(host: Client, **settings: Any) -> tuple[str, str, str]:
    """Return a new meeting, the path of its telephones, and its PIN."""
    meeting = (await host.ok("POST", "/api/v1/meetings", {"settings": settings}))["id"]
    path = f"/api/v1/meetings/{meeting}/phone"
    access = await host.ok("GET", path)
    assert access["numbers"] == list(POLICY.numbers) and access["may_dial"]
    assert len(access["pin"]) == 9 and access["pin"] == (await host.ok("GET", path))["pin"]
    return meeting, path, access["pin"]


async def test_a_caller_enters_by_pin_and_leaves_as_hosts_say(host: Client) -> None:
    meeting, path, pin = await meeting_of(host, mute_on_entry=True)
    assert (await enter(host, "123")).code == "wrong_pin"
    entered = await enter(host, pin)
    assert (entered.outcome, entered.start_muted, entered.signaling_url[:5]) == ("in", True, "ws://")
    claims = jwt.decode(entered.token, options={"verify_signature": False})
    assert (claims["kind"], claims["name"], claims["room"]) == ("phone", "+44 … 123", meeting)
    again = await enter(host, call=entered.call)
    assert jwt.decode(again.token, options={"verify_signature": False})["participant"] == claims["participant"]
    live = PhoneState(phase="live")
    assert (await told(host, "one", **{entered.call: live})).held == [entered.call]
    assert (await told(host, "two", **{entered.call: live})).held == []
    (listed,) = (await host.ok("GET", f"{path}/calls"))["calls"]
    assert (listed["phase"], listed["number"], listed["direction"]) == ("live", "+442079460123", "in")
    await host.ok("DELETE", f"{path}/calls/{entered.call}")
    assert (await told(host, "one", **{entered.call: live})).held == []
    assert (await enter(host, call=entered.call)).code == "ended"
    changed = await host.ok("POST", f"{path}/pin")
    assert (await enter(host, pin)).code == "wrong_pin"
    assert (await enter(host, changed["pin"])).outcome == "in"
    await host.ok("POST", f"/api/v1/meetings/{meeting}/participants/{claims['participant']}/remove", {})
    assert (await enter(host, changed["pin"])).code == "removed"  # the same number
    assert (await enter(host, changed["pin"], caller="anonymous")).outcome == "in"


async def test_callers_wait_in_the_lobby(host: Client) -> None:
    meeting, _, pin = await meeting_of(host, lobby=True)
    entries = f"/api/v1/meetings/{meeting}/lobby"
    for verdict, outcome in (("admit", "in"), ("deny", "refused")):
        waiting = await enter(host, pin)
        assert waiting.outcome == "wait" and not waiting.token
        assert (await enter(host, call=waiting.call)).outcome == "wait"
        (entry,) = (await host.ok("GET", entries))["waiting"]
        await host.ok("POST", f"{entries}/{entry['id']}/{verdict}")
        decided = await enter(host, call=waiting.call)
        assert (decided.outcome, decided.code) == (outcome, "" if outcome == "in" else "denied")


async def test_pins_cannot_be_guessed(host: Client) -> None:
    for setting in ("locked", "e2ee"):
        _, _, pin = await meeting_of(host, **{setting: True})
        assert (await enter(host, pin)).code == setting
    assert (await enter(host, (await meeting_of(host, guests=False))[2])).code == "guests"
    _, _, pin = await meeting_of(host)
    for _ in range(10):
        assert (await enter(host, "1" * 9)).code == "wrong_pin"
    assert (await enter(host, pin)).code == "too_many_attempts"
    assert (await enter(host, pin, caller="+4930111")).outcome == "in"


async def test_hosts_call_telephones(host: Client) -> None:
    _, path, pin = await meeting_of(host, locked=True, lobby=True)
    calls = f"{path}/calls"
    assert await host.refused("POST", calls, {"number": "+49 30 1111"}) == (403, "number_not_allowed")
    assert await host.refused("POST", calls, {"number": "0044 9 1111"}) == (403, "number_not_allowed")
    assert await host.refused("POST", calls, {"number": "nobody"}) == (400, "invalid_number")
    made = await host.ok("POST", calls, {"number": "+44 (20) 7946-0999", "name": "Bob", "keys": "1,2#"})
    assert (made["number"], made["phase"], made["name"]) == ("+442079460999", "waiting", "Bob")
    for query, found in (("search=bo", 1), ("search=ann", 0), ("direction=out", 1), ("direction=in", 0)):
        assert len((await host.ok("GET", f"{calls}?{query}"))["calls"]) == found
    assert (await told(host, "one")).dial == []
    (order,) = (await told(host, "one", free=1)).dial
    assert (order.call, order.number, order.keys) == (made["id"], "+442079460999", "1,2#")
    assert (await told(host, "two", free=9)).dial == []
    ringing = PhoneState(phase="ringing")
    assert (await told(host, "one", **{made["id"]: ringing})).held == [made["id"]]
    entered = await enter(host, call=made["id"])
    claims = jwt.decode(entered.token, options={"verify_signature": False})
    assert (claims["name"], claims["kind"], claims["returning"]) == ("Bob", "phone", True)  # lock and lobby are passed
    assert (await told(host, "one", **{made["id"]: PhoneState(phase="ended", reason="busy")})).held == [made["id"]]
    (listed,) = (await host.ok("GET", calls))["calls"]
    assert (listed["phase"], listed["reason"], listed["ended_at"] is None) == ("ended", "busy", False)
    for _ in range(POLICY.meeting_calls):
        await host.ok("POST", calls, {"number": "+442079460999"})
    assert await host.refused("POST", calls, {"number": "+442079460999"}) == (409, "too_many_calls")
    assert (await enter(host, pin)).code == "full"


def test_numbers_and_prefixes() -> None:
    assert dialled("00 44 20/7946.0000") == "+442079460000"
    assert [is_allowed(number, ("+44", "!+449", "2")) for number in ("+4420", "+4491", "23", "112", "+1")] == [
        True, False, True, False, False,
    ]  # fmt: skip
    for text in ("", "+44abc", "sip:x@y", "1", "++44", "1" * 16):
        with pytest.raises(Problem):
            dialled(text)
    shown = [phone_calls.shortened(number) for number in ("+442079460123", "101", "anonymous", "")]
    assert shown == ["+44 … 123", "101", "Phone", "Phone"]


async def test_participants_get_the_pin_with_the_calendar_file(host: Client) -> None:
    made = await host.ok("POST", "/api/v1/meetings", {"scheduled_start": "2030-01-01T09:00:00Z"})
    path = f"/api/v1/meetings/{made['id']}"
    pin = (await host.ok("GET", f"{path}/phone"))["pin"]
    wanted = f"PIN {pin[:3]} {pin[3:6]} {pin[6:]}#"
    assert wanted in (await host.ok("GET", f"{path}/calendar.ics")).decode().replace("\r\n ", "")
    stranger = Client(host.session, host.server)
    assert "PIN" not in (await stranger.ok("GET", f"{path}/calendar.ics")).decode()
