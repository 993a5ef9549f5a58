"""LiveKit's SIP service in control: trunks and rules, what is refused, and the room that a call leads to."""

import dataclasses
from typing import Any

import aiohttp
import asyncpg
import pytest
from livekit import api
from livekit.protocol.models import ListUpdate

from control import livekit_sip
from control.config import ControlConfig
from control.identity.livekit_tokens import signing_keys
from tests.control.harness import People, serving
from tests.support.livekit_client import KEY, KEYS, SECRET

Rule = api.SIPDispatchRuleInfo


def direct(room: str, pin: str = "") -> api.SIPDispatchRule:
    return api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name=room, pin=pin))


async def refused(awaitable: Any) -> str:
    with pytest.raises(api.TwirpError) as caught:
        await awaitable
    return str(caught.value.code)


async def test_trunks_and_rules_are_kept(config: ControlConfig) -> None:
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada")
    async with (
        serving(config) as server,
        aiohttp.ClientSession() as session,
        api.LiveKitAPI(server.url, KEY, SECRET) as application,
    ):
        await People(session, server).user("ada")
        sip = application.sip
        inbound = api.SIPInboundTrunkInfo(name="in", numbers=["+44 1"], auth_username="u", auth_password="p")
        made = await sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=inbound))
        assert made.sip_trunk_id.startswith("ST_") and made.HasField("created_at")
        again = sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=inbound))
        assert await refused(again) == "invalid_argument"  # for the same calls
        changed = await sip.update_inbound_trunk_fields(
            made.sip_trunk_id, numbers=ListUpdate(add=["+442"], remove=["+44 1"]), name="new"
        )
        assert (changed.name, list(changed.numbers), changed.auth_password) == ("new", ["+442"], "p")
        outbound = api.SIPOutboundTrunkInfo(name="out", address="sip.example.org:5061", numbers=["+441"])
        out = await sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=outbound))
        outbound.address = "sip.example.com"
        assert (await sip.update_outbound_trunk(out.sip_trunk_id, outbound)).address == "sip.example.com"
        assert await refused(sip.update_outbound_trunk(made.sip_trunk_id, outbound)) == "not_found"
        listed = await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(numbers=["+442"]))
        assert [one.name for one in listed.items] == ["new"]
        assert not (await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest(numbers=["+443"]))).items
        trunks = [made.sip_trunk_id]
        rule = await sip.create_dispatch_rule(
            api.CreateSIPDispatchRuleRequest(rule=direct("a"), trunk_ids=trunks, attributes={"x": "y"})
        )
        assert (rule.rule.dispatch_rule_direct.room_name, dict(rule.attributes)) == ("a", {"x": "y"})
        same = api.CreateSIPDispatchRuleRequest(dispatch_rule=Rule(rule=direct("b"), trunk_ids=trunks))
        assert await refused(sip.create_dispatch_rule(same)) == "invalid_argument"
        pinned = await sip.update_dispatch_rule_fields(rule.sip_dispatch_rule_id, rule=direct("a", "1234"))
        assert (livekit_sip.pin_of(pinned), list(pinned.trunk_ids)) == ("1234", trunks)
        assert len((await sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())).items) == 1
        await sip.delete_dispatch_rule(api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule.sip_dispatch_rule_id))
        gone = api.DeleteSIPTrunkRequest(sip_trunk_id=made.sip_trunk_id)
        assert (await sip.delete_trunk(gone)).sip_trunk_id == made.sip_trunk_id
        assert (await sip.delete_trunk(gone)).name == ""  # it is gone already
        connection = await asyncpg.connect(config.database_dsn)
        stored = await connection.fetchval("SELECT string_agg(sealed, ' ') FROM livekit_sip")
        await connection.close()
        assert "example.com" not in stored  # with its password


INBOUND = [
    (api.SIPInboundTrunkInfo(name="open to all"), "invalid_argument"),
    (api.SIPInboundTrunkInfo(numbers=["+1"], allowed_addresses=["anywhere"]), "invalid_argument"),
    (api.SIPInboundTrunkInfo(numbers=["+1"], auth_username="u"), "invalid_argument"),
    (api.SIPInboundTrunkInfo(numbers=["+1"], krisp_enabled=True), "unimplemented"),
    (api.SIPInboundTrunkInfo(numbers=["+1"], headers_to_attributes={"X-A": "a"}), "unimplemented"),
]
OUTBOUND = [
    (api.SIPOutboundTrunkInfo(address="sip.example.org"), "invalid_argument"),
    (api.SIPOutboundTrunkInfo(address="sip:a@example.org", numbers=["1"]), "invalid_argument"),
    (api.SIPOutboundTrunkInfo(address="a", numbers=["1"], headers={"Via": "x"}), "invalid_argument"),
    (api.SIPOutboundTrunkInfo(address="a", numbers=["1"], headers={"X-A": "x\r\nTo: y"}), "invalid_argument"),
    (api.SIPOutboundTrunkInfo(address="a", numbers=["1"], media_encryption=1), "unimplemented"),
    (api.SIPOutboundTrunkInfo(address="a", numbers=["1"], destination_country="DE"), "unimplemented"),
]
SERVER = api.SIPOutboundConfig(hostname="127.0.0.1")
CALLS = [
    ({"sip_call_to": "1", "room_name": "r"}, "invalid_argument"),
    ({"sip_trunk_id": "ST_none", "sip_call_to": "1", "room_name": "r"}, "not_found"),
    ({"trunk": SERVER, "sip_call_to": "1", "room_name": "r"}, "failed_precondition"),
    ({"trunk": SERVER, "sip_number": "2", "sip_call_to": "1@x", "room_name": "r"}, "invalid_argument"),
    ({"trunk": SERVER, "sip_number": "2", "sip_call_to": "1", "room_name": "r", "dtmf": "x"}, "invalid_argument"),
    ({"trunk": SERVER, "sip_number": "2", "sip_call_to": "1", "room_name": "r", "include_headers": 1}, "unimplemented"),
]


async def test_what_cannot_be_done_is_refused(config: ControlConfig) -> None:
    config = dataclasses.replace(config, livekit_keys=signing_keys(KEYS), livekit_owner="Ada")
    async with serving(config) as server, api.LiveKitAPI(server.url, KEY, SECRET) as application:
        sip = application.sip
        for trunk, code in INBOUND:
            assert await refused(sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=trunk))) == code
        for out, code in OUTBOUND:
            assert await refused(sip.create_outbound_trunk(api.CreateSIPOutboundTrunkRequest(trunk=out))) == code
        for fields, code in CALLS:
            assert await refused(sip.create_sip_participant(api.CreateSIPParticipantRequest(**fields))) == code
        other = api.TransferSIPParticipantRequest(room_name="r", participant_identity="a", transfer_to="tel:+1")
        assert await refused(sip.transfer_sip_participant(other)) == "not_found"


CALL = {"id": "SCL_1", "caller": "+49 30 1", "called": "+441", "host": "192.0.2.1"}


def test_rules_lead_to_rooms() -> None:
    trunk = api.SIPInboundTrunkInfo(sip_trunk_id="ST_1")
    individual = api.SIPDispatchRuleIndividual(room_prefix="call")
    callee = api.SIPDispatchRuleCallee(room_prefix="to")
    rules = [
        Rule(sip_dispatch_rule_id="all", rule=direct("lounge")),
        Rule(sip_dispatch_rule_id="trunk", rule=api.SIPDispatchRule(dispatch_rule_individual=individual),
             trunk_ids=["ST_1"], hide_phone_number=True),
        Rule(sip_dispatch_rule_id="caller", rule=api.SIPDispatchRule(dispatch_rule_callee=callee),
             trunk_ids=["ST_1"], inbound_numbers=["+49301"]),
        Rule(sip_dispatch_rule_id="pin", rule=direct("secret", "42"), trunk_ids=["ST_2"]),
    ]  # fmt: skip

    def found(trunk: str, caller: str = "+1", pin: str = "") -> str:
        rule = livekit_sip.rule_for(rules, trunk, caller=caller, called="+441", pin=pin)
        return rule.sip_dispatch_rule_id if rule is not None else ""

    assert [found("ST_1"), found("ST_1", "+49 30-1"), found("ST_2"), found("ST_3")] == ["trunk", "caller", "pin", "all"]
    assert [found("ST_2", pin="42"), found("ST_2", pin="43"), found("ST_1", pin="42")] == ["pin", "", ""]
    with pytest.raises(livekit_sip.PinWanted):
        livekit_sip.dispatched(trunk, rules[3], CALL, "")
    own = livekit_sip.dispatched(trunk, rules[1], CALL, "")
    assert own.room.startswith("call_30 1_") and own.name == "Phone 30 1"
    assert "49" not in own.call.identity and "sip.phoneNumber" not in own.call.attributes
    shown = livekit_sip.dispatched(trunk, rules[2], CALL, "")
    assert (shown.room, shown.call.identity) == ("to_+441", "sip_+49 30 1")
    assert shown.call.attributes["sip.phoneNumber"] == "+49 30 1"
