"""Calls of LiveKit's SIP service: a telephone is called into a room, and transferred to another one."""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from google.protobuf.message import Message
from livekit.protocol import sip as protocol

from control import livekit_sip, phone_calls
from control.identifiers import new_id
from control.livekit_admission import RoomWish, create
from control.livekit_sip import CALL, ApplicationCall
from control.store import audit, meetings, participants, phones, rooms
from control.store import livekit_sip as store
from control.store.phones import PhoneCallRow
from control.twirp.rooms import MAX_METADATA_BYTES, seen_participant
from control.twirp.service import Caller, TwirpError
from sfu.api.phone import DialOrder, DialTrunk, TransferOrder, network_of
from sfu.livekit import names

_POLL_SECONDS = 0.25
_RING_SECONDS, _LONGEST_RING_SECONDS = 60, 180
_MARGIN_SECONDS = 20
"""Time until a process has taken a call, and its participant has joined."""
_TRANSFER_SECONDS = 30
_MOST_HEADERS = 32
_PARTICIPANT = {
    "sip_trunk_id", "trunk", "sip_call_to", "sip_number", "room_name", "participant_identity", "participant_name",
    "participant_metadata", "participant_attributes", "dtmf", "play_ringtone", "play_dialtone", "hide_phone_number",
    "headers", "ringing_timeout", "max_call_duration", "media", "media_encryption", "wait_until_answered",
    "display_name",
}  # fmt: skip
_CONFIG = {"hostname", "transport", "auth_username", "auth_password", "from_host"}
_TRANSFER = {"participant_identity", "room_name", "transfer_to", "headers", "ringing_timeout"}
_TRANSPORTS = {
    protocol.SIPTransport.SIP_TRANSPORT_AUTO: "udp",
    protocol.SIPTransport.SIP_TRANSPORT_UDP: "udp",
    protocol.SIPTransport.SIP_TRANSPORT_TCP: "tcp",
    protocol.SIPTransport.SIP_TRANSPORT_TLS: "tls",
}
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?")
_HEADER = re.compile(r"[A-Za-z0-9!%*_+`'~.-]{1,64}")
_OUR_HEADERS = frozenset({
    "via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "record-route", "content-length",
    "content-type", "allow", "supported", "require", "proxy-require", "session-expires", "min-se", "user-agent",
    "server", "authorization", "proxy-authorization", "refer-to", "referred-by", "expires", "f", "t", "i", "m", "v",
    "l", "c", "k", "x", "r", "s", "b",
})  # fmt: skip
_CALLED = re.compile(r"[A-Za-z0-9+*#._~-]{1,64}")
_KEYS = re.compile(r"[0-9*#A-Da-dwW,]{0,64}")
_URI = re.compile(r"(?:sips?:[^\s<>@,;\"]{1,128}@?[^\s<>@,\"]{0,253}|tel:[+0-9*#().-]{1,64})")
_CODES = {
    401: "permission_denied", 402: "permission_denied", 403: "permission_denied", 404: "not_found",
    407: "unauthenticated", 408: "deadline_exceeded", 410: "not_found", 480: "resource_exhausted",
    486: "resource_exhausted", 487: "aborted", 504: "deadline_exceeded", 600: "resource_exhausted",
    603: "permission_denied", 604: "not_found", 607: "permission_denied",
}  # fmt: skip
_REASONS = {
    "no_answer": 408, "busy": 486, "declined": 603, "refused": 403, "no_such_number": 404, "cancelled": 487,
    "incompatible": 488,
}  # fmt: skip
"""The statuses of calls that ended without one from the telephone's side."""


def check_fields(message: Message, supported: Iterable[str]) -> None:
    """Raise TwirpError if a message has a field that would have no effect here."""
    for field, value in message.ListFields():
        if field.name not in supported:
            raise TwirpError("unimplemented", f"{field.name} is not supported")
        if field.name == "media":
            check_fields(value, {"encryption"})


def check_encryption(*messages: Any) -> bool:
    """Return whether a call that is placed is encrypted; raises TwirpError if that is left to the other side."""
    wanted = livekit_sip.encryption(*messages)
    if wanted == protocol.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW:
        raise TwirpError("unimplemented", "calls are placed with SIP_MEDIA_ENCRYPT_REQUIRE or _DISABLE, not _ALLOW")
    return wanted == protocol.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE


def check_server(address: str, from_host: str, headers: Mapping[str, str]) -> None:
    """Raise TwirpError unless calls can be sent to a server with these headers."""
    if not address:
        raise TwirpError("invalid_argument", "no outbound address specified")
    for host in (address, from_host):
        found = _SERVER.fullmatch(host)
        if host and (found is None or (found[2] is not None and not 1 <= int(found[2]) <= 65535)):
            raise TwirpError("invalid_argument", "a server is HOST or HOST:PORT, not a SIP URI")
    check_headers(headers)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise TwirpError for headers that are not an application's to choose."""
    if len(headers) > _MOST_HEADERS:
        raise TwirpError("invalid_argument", f"more than {_MOST_HEADERS} headers")
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OUR_HEADERS:
            raise TwirpError("invalid_argument", f"invalid header name: {name[:64]!r}")
        if len(value) > 1024 or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            raise TwirpError("invalid_argument", f"invalid header value for {name}")


def check_addresses(addresses: Iterable[str]) -> None:
    """Raise TwirpError unless all are addresses or networks."""
    for address in addresses:
        try:
            network_of(address)
        except ValueError as error:
            raise TwirpError("invalid_argument", f"{address[:100]!r} is neither an address nor a network") from error


async def create_participant(
    caller: Caller, asked: "protocol.CreateSIPParticipantRequest"
) -> "protocol.SIPParticipantInfo":
    """Call a telephone. Its participant is in the room as soon as the call is placed.

    Return then, or when the call is answered; raises TwirpError if it is refused before.
    """
    caller.sip("call")
    services = caller.services
    _check(asked)
    call = new_id("call")
    trunk = await _trunk(caller, asked)
    order = DialOrder(
        call=call,
        number=asked.sip_call_to,
        keys=asked.dtmf.replace("w", ",").replace("W", ","),
        trunk=trunk,
        ring_seconds=_seconds(asked.ringing_timeout, _RING_SECONDS, _LONGEST_RING_SECONDS),
        joins_at_once=True,
        dialtone=asked.play_dialtone or asked.play_ringtone,
    )
    identity = asked.participant_identity or f"sip_{asked.sip_call_to}"
    application = ApplicationCall(
        identity=identity,
        metadata=asked.participant_metadata,
        attributes=_attributes(asked, call, trunk),
        longest_seconds=int(_seconds(asked.max_call_duration, 0, 7 * 86400)),
    )
    async with services.pool.acquire() as connection, connection.transaction():
        meeting = await create(services, connection, asked.room_name, RoomWish(kept=False))
        await meetings.lock(connection, meeting)
        state = await rooms.state(connection, meeting)
        if state is None or state.ended:
            raise TwirpError("not_found", "requested room does not exist")
        if state.e2ee:
            raise TwirpError("failed_precondition", "telephones cannot join an end-to-end encrypted room")
        await phones.end_silent(connection)
        if await phones.count_open(connection, meeting) >= services.config.phone.meeting_calls:
            raise TwirpError("resource_exhausted", "this room has too many telephones")
        name = asked.participant_name or identity
        person = await participants.with_identity(connection, meeting, identity, name)
        changed = await phone_calls.let_in(connection, meeting, person)
        row = await phones.add(
            connection,
            meeting,
            "out",
            number=asked.sip_call_to,
            name=name,
            keys=order.keys,
            call=call,
            application=msgspec.to_builtins(application),
            sealed_order=services.ingress_seal.seal(call, msgspec.json.encode(order).decode()),
        )
        await phones.set_participant(connection, row.id, person.id)
        about = {"meeting": meeting, "number": asked.sip_call_to}
        await audit.write(connection, caller.actor, "phone.called", row.id, caller.address, **about)
    services.nodes.push(changed)
    await _placed(caller, row, person.id, order.ring_seconds, until_answered=asked.wait_until_answered)
    return protocol.SIPParticipantInfo(
        participant_id=names.participant_sid(person.id),
        participant_identity=identity,
        room_name=asked.room_name,
        sip_call_id=application.attributes["sip.callID"],
    )


def _check(asked: "protocol.CreateSIPParticipantRequest") -> None:
    check_fields(asked, _PARTICIPANT)
    check_fields(asked.trunk, _CONFIG)
    check_headers(asked.headers)
    if not asked.sip_trunk_id and not asked.HasField("trunk"):
        raise TwirpError("invalid_argument", "missing sip trunk id")
    if not asked.sip_call_to:
        raise TwirpError("invalid_argument", "missing sip callee number")
    if not _CALLED.fullmatch(asked.sip_call_to):
        raise TwirpError("invalid_argument", "sip_call_to is a phone number or SIP user, not a full SIP URI")
    if not asked.room_name:
        raise TwirpError("invalid_argument", "missing room name")
    texts = (asked.room_name, asked.participant_identity, asked.participant_name, asked.display_name)
    if any(len(text) > 256 for text in texts):
        raise TwirpError("invalid_argument", "a name is too long")
    about = [asked.participant_metadata, *(part for pair in asked.participant_attributes.items() for part in pair)]
    if sum(len(part.encode()) for part in about) > MAX_METADATA_BYTES or "\x00" in "".join((*texts, *about)):
        raise TwirpError("invalid_argument", f"metadata and attributes have at most {MAX_METADATA_BYTES} bytes, no NUL")
    if not _KEYS.fullmatch(asked.dtmf):
        raise TwirpError("invalid_argument", "dtmf has up to 64 of 0-9, *, #, A-D and w")
    if any(ord(letter) < 32 or letter in '"\\' for letter in asked.display_name):
        raise TwirpError("invalid_argument", "display_name must be a valid quoted string")


async def _trunk(caller: Caller, asked: "protocol.CreateSIPParticipantRequest") -> DialTrunk:
    """Return the server through which to call; raises TwirpError."""
    given: Any = asked.trunk
    address, headers, numbers = asked.trunk.hostname, dict(asked.headers), []
    encrypted = check_encryption(asked)
    if asked.sip_trunk_id:
        async with caller.services.pool.acquire() as connection:
            row = await store.by_id(connection, asked.sip_trunk_id)
        if row is None or row.kind != "outbound":
            raise TwirpError("not_found", "requested sip trunk does not exist")
        given = livekit_sip.opened(caller.services, row.id, row.kind, row.sealed)
        address, headers, numbers = given.address, dict(given.headers) | headers, list(given.numbers)
        encrypted = check_encryption(given, asked)
    check_server(address, given.from_host, headers)
    number = asked.sip_number or (numbers[0] if numbers else "")
    if not number:
        raise TwirpError("failed_precondition", "no numbers on outbound trunk")
    if not _CALLED.fullmatch(number):
        raise TwirpError("invalid_argument", "sip_number is a phone number or SIP user")
    found = _SERVER.fullmatch(address)
    assert found is not None
    return DialTrunk(
        transport=_TRANSPORTS[given.transport],
        host=found[1].strip("[]"),
        port=int(found[2] or 0),
        caller=number,
        domain=given.from_host,
        display_name=asked.display_name,
        user=given.auth_username,
        password=given.auth_password,
        encrypted=encrypted,
        headers=headers,
    )


def _attributes(asked: "protocol.CreateSIPParticipantRequest", call: str, trunk: DialTrunk) -> dict[str, str]:
    attributes = dict(asked.participant_attributes)
    attributes |= {"sip.callID": CALL + call.removeprefix("call_"), "sip.trunkID": asked.sip_trunk_id}
    if not asked.hide_phone_number:
        attributes |= {
            "sip.phoneNumber": asked.sip_call_to,
            "sip.hostname": trunk.host,
            "sip.trunkPhoneNumber": trunk.caller,
        }
    return {name: value for name, value in attributes.items() if value}


def _seconds(duration: Any, default: float, most: float) -> float:
    seconds = float(duration.seconds) + duration.nanos / 1e9
    return min(seconds, most) if seconds > 0 else default


async def _placed(caller: Caller, call: PhoneCallRow, person: str, ring: float, *, until_answered: bool) -> None:
    """Wait until a call is in its room, or answered; raises TwirpError if it ends before."""
    services = caller.services
    deadline = time.monotonic() + _MARGIN_SECONDS + (ring if until_answered else 0)
    while time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        async with services.pool.acquire() as connection:
            await phones.end_silent(connection)
            row = await phones.by_id(connection, call.id)
        if row is None or row.phase == "ended":
            if row is None or until_answered or row.reason in {"unavailable", "lost", "failed"}:
                raise _ended(row)
            return
        if row.phase == "live":
            return
        if not until_answered and row.phone:
            view = await services.nodes.view(call.meeting_id)
            if view is not None and any(seen.info.participant == person for seen in view.participants):
                return
    async with services.pool.acquire() as connection:
        await phones.end(connection, call.meeting_id, call.id, "no_answer")
    raise TwirpError("deadline_exceeded", "the call was not answered in time", _status(408))


def _ended(row: PhoneCallRow | None) -> TwirpError:
    """Return the refusal of a call that has ended."""
    if row is None or row.reason in {"unavailable", "lost"}:
        return TwirpError("unavailable", "no process for telephones is running, or all are busy")
    status = row.status or _REASONS.get(row.reason, 0)
    if not status:
        return TwirpError("unavailable", f"the call failed: {row.reason}")
    code = _CODES.get(status, "failed_precondition" if 500 <= status < 600 else "invalid_argument")
    return TwirpError(code, f"sip status {status}: {row.reason}", _status(status))


def _status(status: int) -> dict[str, str]:
    known = protocol.SIPStatusCode.DESCRIPTOR.values_by_number.get(status)
    return {"sip_status_code": str(status), "sip_status": known.name if known is not None else str(status)}


async def transfer(
    caller: Caller, asked: "protocol.TransferSIPParticipantRequest"
) -> "protocol.TransferSIPParticipantResponse":
    """Have a telephone call somebody else instead; it leaves the room when it has reached them."""
    caller.sip("call")
    caller.grants_in("room_admin", asked.room_name)
    check_fields(asked, _TRANSFER)
    check_headers(asked.headers)
    if not asked.participant_identity:
        raise TwirpError("invalid_argument", "missing participant identity")
    target = asked.transfer_to.removeprefix("<").removesuffix(">")
    if not _URI.fullmatch(target):
        raise TwirpError("invalid_argument", "transfer_to must be a valid SIP(s) or TEL URI (sip:, sips: or tel:)")
    _, seen = await seen_participant(caller, asked.room_name, asked.participant_identity)
    async with caller.services.pool.acquire() as connection:
        row = await phones.of_participant(connection, seen.info.participant)
        if row is None:
            raise TwirpError("invalid_argument", "no SIP session associated with participant")
        order = TransferOrder(call=row.id, target=target, headers=dict(asked.headers))
        if not await phones.ask_transfer(connection, row.id, msgspec.to_builtins(order)):
            raise TwirpError("failed_precondition", "the call is not answered yet, or is being transferred")
        await audit.write(connection, caller.actor, "phone.transferred", row.id, caller.address, meeting=row.meeting_id)
    return await _transferred(caller, row.id, _seconds(asked.ringing_timeout, _TRANSFER_SECONDS, _LONGEST_RING_SECONDS))


async def _transferred(caller: Caller, call: str, seconds: float) -> "protocol.TransferSIPParticipantResponse":
    """Wait for the outcome of a transfer; raises TwirpError if it fails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        async with caller.services.pool.acquire() as connection:
            row = await phones.by_id(connection, call)
        if row is not None and row.transfer == "done":
            return protocol.TransferSIPParticipantResponse(
                transfer_id=f"STR_{call.removeprefix('call_')}",
                status=protocol.SIPTransferStatus.STS_TRANSFER_SUCCESSFUL,
                reason=protocol.SIPTransferReason.STR_COMPLETED,
                sip_status=protocol.SIPStatus(code=protocol.SIPStatusCode.SIP_STATUS_OK, status="OK"),
            )
        if row is None or row.ended_at is not None:
            raise _not_transferred("STR_CALL_ENDED", "the call has ended")
        if row.transfer == "failed":
            raise _not_transferred("STR_REJECTED", "the transfer was refused", row.transfer_status)
    raise _not_transferred("STR_RINGING_TIMEOUT", "the transfer was not completed in time", 408)


def _not_transferred(reason: str, text: str, status: int = 0) -> TwirpError:
    code = _CODES.get(status, "failed_precondition")
    return TwirpError(code, text, {"sip_transfer_reason": reason} | (_status(status) if status else {}))
