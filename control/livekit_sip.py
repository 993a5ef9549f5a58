"""Trunks and dispatch rules of LiveKit's SIP service: how they are stored, and the room that a call leads to.

The rules are those of LiveKit's server: a rule for the call's trunk comes before a general one, one with a PIN before
an open one, one for a number before one for all.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from google.protobuf.message import Message
from livekit.protocol import sip

from control.database import Connection
from control.livekit_admission import RoomWish, wish_of
from control.services import Services
from control.store import livekit_sip
from control.store.livekit_sip import Kind
from sfu.api.phone import InboundTrunk, comparable

TRUNK, RULE, CALL = "ST_", "SDR_", "SCL_"
MESSAGES: dict[Kind, type[Message]] = {
    "inbound": sip.SIPInboundTrunkInfo,
    "outbound": sip.SIPOutboundTrunkInfo,
    "rule": sip.SIPDispatchRuleInfo,
}


class ApplicationCall(msgspec.Struct, frozen=True, kw_only=True):
    """The participant of an application's call; `longest_seconds` 0 is no limit."""

    identity: str
    metadata: str = ""
    attributes: dict[str, str] = {}
    longest_seconds: int = 0


class Dispatched(msgspec.Struct, frozen=True, kw_only=True):
    """The room that a call leads to, and its participant."""

    room: str
    name: str
    wish: RoomWish
    call: ApplicationCall


class PinWanted(Exception):
    """A rule asks for a PIN."""


def seal(services: Services, key: str, message: Message) -> str:
    return services.ingress_seal.seal(key, base64.b64encode(message.SerializeToString()).decode())


def opened(services: Services, key: str, kind: Kind, sealed: str) -> Any:
    """Return a stored trunk or rule."""
    message = MESSAGES[kind]()
    message.ParseFromString(base64.b64decode(services.ingress_seal.open(key, sealed)))
    return message


async def of_kind(services: Services, connection: Connection, kind: Kind) -> list[Any]:
    """Return all trunks or rules of a kind."""
    rows = await livekit_sip.of_kind(connection, kind)
    return [opened(services, row.id, row.kind, row.sealed) for row in rows]


def encryption(*messages: Any) -> int:
    """Return what the last of several messages that says so wants (SIPMediaEncryption)."""
    wanted = sip.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE
    for message in messages:
        wanted = message.media_encryption or wanted
        if message.media.HasField("encryption"):
            wanted = message.media.encryption
    return int(wanted)


async def inbound_trunks(services: Services, connection: Connection) -> list[InboundTrunk]:
    """Return the trunks through which applications accept calls; they are opened again only after a change."""
    version = await livekit_sip.version(connection)
    return await services.inbound_trunks.at(version, lambda: _inbound_trunks(services, connection))


async def _inbound_trunks(services: Services, connection: Connection) -> list[InboundTrunk]:
    found = await of_kind(services, connection, "inbound")
    return [
        InboundTrunk(
            id=one.sip_trunk_id,
            numbers=tuple(one.numbers),
            addresses=tuple(one.allowed_addresses),
            callers=tuple(one.allowed_numbers),
            user=one.auth_username,
            password=one.auth_password,
            needs_encryption=encryption(one) == sip.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE,
        )
        for one in found
    ]


def pin_of(rule: "sip.SIPDispatchRuleInfo") -> str:
    """Return a rule's PIN, "" if it has none."""
    kind = rule.rule.WhichOneof("rule")
    return str(getattr(rule.rule, kind).pin) if kind else ""


def rule_for(
    rules: Iterable["sip.SIPDispatchRuleInfo"], trunk: str, *, caller: str, called: str, pin: str
) -> "sip.SIPDispatchRuleInfo | None":
    """Return the rule for a call; with a `pin`, only rules that have it are considered."""
    found = []
    for rule in rules:
        if rule.inbound_numbers and not _among(caller, rule.inbound_numbers):
            continue
        if rule.numbers and not _among(called, rule.numbers):
            continue
        if pin and pin_of(rule) != pin:
            continue
        if not rule.trunk_ids or trunk in rule.trunk_ids:
            found.append(rule)
    return min(found, key=_rank, default=None)


def _rank(rule: "sip.SIPDispatchRuleInfo") -> tuple[bool, int, bool, int, str]:
    kinds = ("dispatch_rule_direct", "dispatch_rule_individual", "dispatch_rule_callee")
    kind = rule.rule.WhichOneof("rule") or kinds[0]
    unnamed = (not rule.inbound_numbers) + (not rule.numbers)
    return not rule.trunk_ids, unnamed, not pin_of(rule), kinds.index(kind), rule.sip_dispatch_rule_id


def _among(number: str, numbers: Iterable[str]) -> bool:
    return comparable(number) in {comparable(one) for one in numbers}


def dispatched(
    trunk: "sip.SIPInboundTrunkInfo", rule: "sip.SIPDispatchRuleInfo", call: Mapping[str, str], pin: str
) -> Dispatched:
    """Return where a rule leads a `call`, which has id, caller, called and host; raises PinWanted."""
    if pin_of(rule) and not pin:
        raise PinWanted
    caller, called = call["caller"], call["called"]
    attributes = dict(rule.attributes)
    attributes |= {
        "sip.callID": call["id"],
        "sip.trunkID": trunk.sip_trunk_id,
        "sip.ruleID": rule.sip_dispatch_rule_id,
    }
    if rule.hide_phone_number:
        identity = f"sip_{hashlib.sha256(caller.encode()).hexdigest()[:16]}"
        caller = caller[-4:] if len(caller) > 4 else caller[-1:]
    else:
        identity = f"sip_{caller}"
        attributes |= {"sip.phoneNumber": caller, "sip.hostname": call["host"], "sip.trunkPhoneNumber": called}
    return Dispatched(
        room=_room(rule.rule, caller, called),
        name=f"Phone {caller}",
        wish=wish_of(rule.room_config),
        call=ApplicationCall(
            identity=identity,
            metadata=rule.metadata,
            attributes=attributes,
            longest_seconds=trunk.max_call_duration.seconds,
        ),
    )


def _room(rule: "sip.SIPDispatchRule", caller: str, called: str) -> str:
    match rule.WhichOneof("rule"):
        case "dispatch_rule_individual":
            individual = rule.dispatch_rule_individual
            return _named(individual.room_prefix, caller, is_random=not individual.no_randomness)
        case "dispatch_rule_callee":
            callee = rule.dispatch_rule_callee
            return _named(callee.room_prefix, called, is_random=callee.randomize)
        case _:
            return str(rule.dispatch_rule_direct.room_name)


def _named(prefix: str, number: str, *, is_random: bool) -> str:
    parts = [prefix, number, secrets.token_urlsafe(9) if is_random else ""]
    return "_".join(part for part in parts if part)
