"""LiveKit's SIP service: trunks and dispatch rules. Calls are in `sip_calls`.

A field that would have no effect here is refused, since a caller could not see that it is ignored.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from livekit.protocol import models
from livekit.protocol import sip as protocol

from control import livekit_sip
from control.database import Connection
from control.identifiers import new_id
from control.livekit_sip import RULE, TRUNK, pin_of
from control.store import audit
from control.store import livekit_sip as store
from control.store.livekit_sip import Kind
from control.twirp import sip_calls
from control.twirp.service import Caller, Method, Service, TwirpError, unimplemented
from sfu.api.phone import comparable

_MOST = 1000
_MAX_BYTES = 64_000
_PAGE = 100
_COMMON = {"name", "metadata", "created_at", "updated_at", "media", "media_encryption"}
_SUPPORTED: Mapping[str, set[str]] = {
    "SIPInboundTrunkInfo": {
        *_COMMON, "sip_trunk_id", "numbers", "allowed_addresses", "allowed_numbers", "auth_username", "auth_password",
        "max_call_duration",
    },
    "SIPOutboundTrunkInfo": {
        *_COMMON, "sip_trunk_id", "address", "transport", "numbers", "auth_username", "auth_password", "headers",
        "from_host",
    },
    "SIPDispatchRuleInfo": {
        "sip_dispatch_rule_id", "rule", "trunk_ids", "hide_phone_number", "inbound_numbers", "numbers", "name",
        "metadata", "attributes", "room_config", "created_at", "updated_at",
    },
}  # fmt: skip
_NAMES: dict[Kind, str] = {"inbound": "trunk", "outbound": "trunk", "rule": "dispatch rule"}
_ROOM = {"metadata", "agents", "empty_timeout", "departure_timeout", "max_participants"}


def _checked(info: Any) -> Any:
    """Return a trunk or a rule; raises TwirpError if it cannot be used."""
    sip_calls.check_fields(info, _SUPPORTED[info.DESCRIPTOR.name])
    if info.ByteSize() > _MAX_BYTES or "\x00" in str(info):
        raise TwirpError("invalid_argument", f"the description has more than {_MAX_BYTES} bytes, or contains NUL")
    if isinstance(info, protocol.SIPInboundTrunkInfo):
        if bool(info.auth_username) != bool(info.auth_password):
            raise TwirpError("invalid_argument", "auth_username and auth_password belong together")
        if not (info.auth_username or info.allowed_addresses or info.numbers):
            raise TwirpError(
                "invalid_argument",
                "for security, one of the fields must be set: auth_username and auth_password, allowed_addresses or"
                " numbers",
            )
        sip_calls.check_addresses(info.allowed_addresses)
    elif isinstance(info, protocol.SIPOutboundTrunkInfo):
        if not info.numbers:
            raise TwirpError("invalid_argument", "no trunk numbers specified")
        sip_calls.check_server(info.address, info.from_host, info.headers)
        sip_calls.check_encryption(info)
    else:
        kind = info.rule.WhichOneof("rule")
        if kind is None:
            raise TwirpError("invalid_argument", "missing rule")
        if kind == "dispatch_rule_direct" and not info.rule.dispatch_rule_direct.room_name:
            raise TwirpError("invalid_argument", "missing room name")
        if pin_of(info) and not (pin_of(info).isascii() and pin_of(info).isdecimal() and len(pin_of(info)) <= 16):
            raise TwirpError("invalid_argument", "a PIN has up to 16 digits")
        sip_calls.check_fields(info.room_config, _ROOM)
    return info


class _Resource:
    """The methods for one kind of trunks, or for rules."""

    def __init__(self, kind: Kind, id_field: str, prefix: str) -> None:
        self.kind = kind
        self._id = id_field
        self._prefix = prefix

    async def create(self, caller: Caller, info: Any) -> Any:
        caller.sip("admin")
        if getattr(info, self._id):
            raise TwirpError("invalid_argument", "the id must be empty")
        made = _copy(_checked(info))
        services = caller.services
        key = self._prefix + new_id("sip").removeprefix("sip_")
        setattr(made, self._id, key)
        made.created_at.FromDatetime(datetime.now(UTC))
        made.updated_at.CopyFrom(made.created_at)
        async with services.pool.acquire() as connection, connection.transaction():
            await store.lock(connection)
            if await store.count(connection) >= _MOST:
                raise TwirpError("resource_exhausted", "there are too many trunks and rules")
            await self._check_conflicts(caller, connection, made)
            await store.add(connection, key, self.kind, livekit_sip.seal(services, key, made))
            await audit.write(connection, caller.actor, f"sip.{self.kind}_created", key, caller.address)
        return made

    async def load(self, caller: Caller, connection: Connection, key: str) -> Any:
        if not key:
            raise TwirpError("invalid_argument", "the id is required")
        row = await store.by_id(connection, key)
        if row is None or row.kind != self.kind:
            raise TwirpError("not_found", f"requested sip {_NAMES[self.kind]} does not exist")
        return livekit_sip.opened(caller.services, row.id, row.kind, row.sealed)

    async def get(self, caller: Caller, key: str) -> Any:
        caller.sip("admin")
        async with caller.services.pool.acquire() as connection:
            return await self.load(caller, connection, key)

    async def list(self, caller: Caller, page: "models.Pagination", matches: Callable[[Any], bool]) -> list[Any]:
        """Return the trunks or rules that match, in the order of their ids if there are pages."""
        caller.sip("admin")
        async with caller.services.pool.acquire() as connection:
            found = [one for one in await livekit_sip.of_kind(caller.services, connection, self.kind) if matches(one)]
        if not (page.limit or page.after_id):
            return found
        found.sort(key=lambda one: str(getattr(one, self._id)))
        found = [one for one in found if getattr(one, self._id) > page.after_id]
        return found[: page.limit or _PAGE]

    async def update(self, caller: Caller, key: str, asked: Any) -> Any:
        """Replace a trunk or a rule, or change some of its fields."""
        caller.sip("admin")
        action = asked.WhichOneof("action")
        if action is None:
            raise TwirpError("invalid_argument", "missing or unsupported update action")
        services = caller.services
        async with services.pool.acquire() as connection, connection.transaction():
            await store.lock(connection)
            known = await self.load(caller, connection, key)
            if action == "replace":
                if getattr(asked.replace, self._id) not in ("", key):
                    raise TwirpError("invalid_argument", "the id must be empty or match the id in the update")
                made = _copy(asked.replace)
            else:
                made = _changed(known, asked.update)
            _checked(made)
            setattr(made, self._id, key)
            made.created_at.CopyFrom(known.created_at)
            made.updated_at.FromDatetime(datetime.now(UTC))
            await self._check_conflicts(caller, connection, made)
            await store.change(connection, key, livekit_sip.seal(services, key, made))
            await audit.write(connection, caller.actor, f"sip.{self.kind}_changed", key, caller.address)
        return made

    async def delete(self, caller: Caller, connection: Connection, key: str) -> Any:
        known = await self.load(caller, connection, key)
        await store.delete(connection, key)
        await audit.write(connection, caller.actor, f"sip.{self.kind}_deleted", key, caller.address)
        return known

    async def _check_conflicts(self, caller: Caller, connection: Connection, made: Any) -> None:
        """Raise TwirpError if a call would fit this trunk or rule and another one alike."""
        if self.kind == "outbound":
            return
        calls = _calls_of(made)
        for one in await livekit_sip.of_kind(caller.services, connection, self.kind):
            other = getattr(one, self._id)
            if other != getattr(made, self._id) and calls & _calls_of(one):
                what = "the numbers and allowed numbers" if self.kind == "inbound" else "the trunk, numbers and PIN"
                raise TwirpError("invalid_argument", f"{other} is for the same calls: {what} must differ")


def _calls_of(info: Any) -> set[tuple[str, ...]]:
    """Return the calls that a trunk or a rule names; "" stands for any."""
    numbers = [comparable(one) for one in info.numbers] or [""]
    if isinstance(info, protocol.SIPInboundTrunkInfo):
        callers = [comparable(one) for one in info.allowed_numbers] or [""]
        return {(number, caller) for number in numbers for caller in callers}
    callers = [comparable(one) for one in info.inbound_numbers] or [""]
    trunks = list(info.trunk_ids) or [""]
    pin = pin_of(info)
    return {(trunk, number, caller, pin) for trunk in trunks for number in numbers for caller in callers}


def _copy(info: Any) -> Any:
    copied = type(info)()
    copied.CopyFrom(info)
    return copied


def _changed(known: Any, update: Any) -> Any:
    """Return a trunk or a rule with the fields of an update."""
    made = _copy(known)
    fields = known.DESCRIPTOR.fields_by_name
    for field, value in update.ListFields():
        if field.name not in fields:
            raise TwirpError("unimplemented", f"{field.name} is not supported")
        if isinstance(value, models.ListUpdate):
            held = getattr(made, field.name)
            held[:] = _listed(list(held), value)
        elif field.name == "attributes":
            for name, text in value.items():
                if text:
                    made.attributes[name] = text
                else:
                    made.attributes.pop(name, None)
        elif isinstance(value, Message):
            getattr(made, field.name).CopyFrom(value)
        else:
            setattr(made, field.name, value)
    return made


def _listed(held: list[str], update: "models.ListUpdate") -> list[str]:
    changes = bool(update.set or update.add or update.remove)
    both = (update.clear and changes) or (update.set and (update.add or update.remove))
    if both or not (update.clear or changes) or "" in (*update.set, *update.add, *update.remove):
        raise TwirpError("invalid_argument", "unsupported list update operation")
    if update.clear:
        return []
    kept = [one for one in held if one not in update.remove]
    return list(update.set) or [*kept, *(one for one in update.add if one not in kept)]


_INBOUND = _Resource("inbound", "sip_trunk_id", TRUNK)
_OUTBOUND = _Resource("outbound", "sip_trunk_id", TRUNK)
_RULES = _Resource("rule", "sip_dispatch_rule_id", RULE)


async def create_inbound(
    caller: Caller, asked: "protocol.CreateSIPInboundTrunkRequest"
) -> "protocol.SIPInboundTrunkInfo":
    """Create a trunk for calls that come in."""
    return await _INBOUND.create(caller, asked.trunk)  # type: ignore[no-any-return]


async def create_outbound(
    caller: Caller, asked: "protocol.CreateSIPOutboundTrunkRequest"
) -> "protocol.SIPOutboundTrunkInfo":
    """Create a trunk for calls that are placed."""
    return await _OUTBOUND.create(caller, asked.trunk)  # type: ignore[no-any-return]


async def create_rule(caller: Caller, asked: "protocol.CreateSIPDispatchRuleRequest") -> "protocol.SIPDispatchRuleInfo":
    """Create a rule. Older SDKs send its fields in the request itself."""
    info = protocol.SIPDispatchRuleInfo()
    if asked.HasField("dispatch_rule"):
        info.CopyFrom(asked.dispatch_rule)
    else:
        for field, value in asked.ListFields():
            if isinstance(value, Message):
                getattr(info, field.name).CopyFrom(value)
            elif field.name == "attributes":
                info.attributes.update(value)
            elif field.is_repeated:
                getattr(info, field.name).extend(value)
            else:
                setattr(info, field.name, value)
    return await _RULES.create(caller, info)  # type: ignore[no-any-return]


async def update_inbound(
    caller: Caller, asked: "protocol.UpdateSIPInboundTrunkRequest"
) -> "protocol.SIPInboundTrunkInfo":
    return await _INBOUND.update(caller, asked.sip_trunk_id, asked)  # type: ignore[no-any-return]


async def update_outbound(
    caller: Caller, asked: "protocol.UpdateSIPOutboundTrunkRequest"
) -> "protocol.SIPOutboundTrunkInfo":
    return await _OUTBOUND.update(caller, asked.sip_trunk_id, asked)  # type: ignore[no-any-return]


async def update_rule(caller: Caller, asked: "protocol.UpdateSIPDispatchRuleRequest") -> "protocol.SIPDispatchRuleInfo":
    return await _RULES.update(caller, asked.sip_dispatch_rule_id, asked)  # type: ignore[no-any-return]


async def get_inbound(
    caller: Caller, asked: "protocol.GetSIPInboundTrunkRequest"
) -> "protocol.GetSIPInboundTrunkResponse":
    return protocol.GetSIPInboundTrunkResponse(trunk=await _INBOUND.get(caller, asked.sip_trunk_id))


async def get_outbound(
    caller: Caller, asked: "protocol.GetSIPOutboundTrunkRequest"
) -> "protocol.GetSIPOutboundTrunkResponse":
    return protocol.GetSIPOutboundTrunkResponse(trunk=await _OUTBOUND.get(caller, asked.sip_trunk_id))


def _is_wanted(asked: "protocol.ListSIPInboundTrunkRequest | protocol.ListSIPOutboundTrunkRequest", trunk: Any) -> bool:
    """Return whether a list that names trunks or numbers includes a trunk; one without numbers is for all."""
    if asked.trunk_ids and trunk.sip_trunk_id not in asked.trunk_ids:
        return False
    wanted = {comparable(one) for one in asked.numbers}
    return not wanted or not trunk.numbers or not wanted.isdisjoint(comparable(one) for one in trunk.numbers)


async def list_inbound(
    caller: Caller, asked: "protocol.ListSIPInboundTrunkRequest"
) -> "protocol.ListSIPInboundTrunkResponse":
    found = await _INBOUND.list(caller, asked.page, lambda one: _is_wanted(asked, one))
    return protocol.ListSIPInboundTrunkResponse(items=found)


async def list_outbound(
    caller: Caller, asked: "protocol.ListSIPOutboundTrunkRequest"
) -> "protocol.ListSIPOutboundTrunkResponse":
    found = await _OUTBOUND.list(caller, asked.page, lambda one: _is_wanted(asked, one))
    return protocol.ListSIPOutboundTrunkResponse(items=found)


async def list_rules(
    caller: Caller, asked: "protocol.ListSIPDispatchRuleRequest"
) -> "protocol.ListSIPDispatchRuleResponse":
    """List rules; one without trunks is for all."""

    def matches(one: Any) -> bool:
        if asked.dispatch_rule_ids and one.sip_dispatch_rule_id not in asked.dispatch_rule_ids:
            return False
        return not asked.trunk_ids or not one.trunk_ids or not set(asked.trunk_ids).isdisjoint(one.trunk_ids)

    return protocol.ListSIPDispatchRuleResponse(items=await _RULES.list(caller, asked.page, matches))


async def delete_trunk(caller: Caller, asked: "protocol.DeleteSIPTrunkRequest") -> "protocol.SIPTrunkInfo":
    """Delete a trunk of either direction, if it exists. Calls under way continue."""
    caller.sip("admin")
    if not asked.sip_trunk_id:
        raise TwirpError("invalid_argument", "the id is required")
    async with caller.services.pool.acquire() as connection, connection.transaction():
        row = await store.by_id(connection, asked.sip_trunk_id)
        if row is None or row.kind == "rule":
            return protocol.SIPTrunkInfo(sip_trunk_id=asked.sip_trunk_id)
        resource = _OUTBOUND if row.kind == "outbound" else _INBOUND
        known = await resource.delete(caller, connection, asked.sip_trunk_id)
    kind = protocol.SIPTrunkInfo.TRUNK_OUTBOUND if resource is _OUTBOUND else protocol.SIPTrunkInfo.TRUNK_INBOUND
    return protocol.SIPTrunkInfo(sip_trunk_id=known.sip_trunk_id, kind=kind, name=known.name, metadata=known.metadata)


async def delete_rule(caller: Caller, asked: "protocol.DeleteSIPDispatchRuleRequest") -> "protocol.SIPDispatchRuleInfo":
    caller.sip("admin")
    async with caller.services.pool.acquire() as connection, connection.transaction():
        return await _RULES.delete(caller, connection, asked.sip_dispatch_rule_id)  # type: ignore[no-any-return]


_OLD = unimplemented("trunks of both directions are no longer supported: create an inbound and an outbound one")

SERVICE: Service = {
    "CreateSIPInboundTrunk": Method(protocol.CreateSIPInboundTrunkRequest, create_inbound),
    "CreateSIPOutboundTrunk": Method(protocol.CreateSIPOutboundTrunkRequest, create_outbound),
    "UpdateSIPInboundTrunk": Method(protocol.UpdateSIPInboundTrunkRequest, update_inbound),
    "UpdateSIPOutboundTrunk": Method(protocol.UpdateSIPOutboundTrunkRequest, update_outbound),
    "GetSIPInboundTrunk": Method(protocol.GetSIPInboundTrunkRequest, get_inbound),
    "GetSIPOutboundTrunk": Method(protocol.GetSIPOutboundTrunkRequest, get_outbound),
    "ListSIPInboundTrunk": Method(protocol.ListSIPInboundTrunkRequest, list_inbound),
    "ListSIPOutboundTrunk": Method(protocol.ListSIPOutboundTrunkRequest, list_outbound),
    "DeleteSIPTrunk": Method(protocol.DeleteSIPTrunkRequest, delete_trunk),
    "CreateSIPDispatchRule": Method(protocol.CreateSIPDispatchRuleRequest, create_rule),
    "UpdateSIPDispatchRule": Method(protocol.UpdateSIPDispatchRuleRequest, update_rule),
    "ListSIPDispatchRule": Method(protocol.ListSIPDispatchRuleRequest, list_rules),
    "DeleteSIPDispatchRule": Method(protocol.DeleteSIPDispatchRuleRequest, delete_rule),
    "CreateSIPParticipant": Method(protocol.CreateSIPParticipantRequest, sip_calls.create_participant),
    "TransferSIPParticipant": Method(protocol.TransferSIPParticipantRequest, sip_calls.transfer),
    "CreateSIPTrunk": Method(protocol.CreateSIPTrunkRequest, _OLD),
    "ListSIPTrunk": Method(protocol.ListSIPTrunkRequest, _OLD),
}
