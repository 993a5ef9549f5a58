"""Admission of LiveKit's clients: a node, or a proxy in front of one, presents an access token.

Like a stream key, a token bypasses the lobby, the passcode and a lock: its signer holds the API secret and has thereby
admitted the bearer. People whom a host removed or banned are refused.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from livekit.protocol import room as livekit_room

from control.database import Connection
from control.identifiers import new_id
from control.identity import livekit_tokens
from control.identity.livekit_tokens import AccessToken, RoomAgent, RoomConfiguration, TokenRefused
from control.meetings import grants, seats
from control.meetings.settings import MAX_CAPACITY, MeetingSettings, defaults
from control.nodes import turn
from control.placement import placing
from control.services import Services
from control.store import agent_jobs, breakouts, livekit_rooms, meetings, outbox, participants, rooms, users
from control.store.meetings import MeetingRow, Plan
from control.store.participants import ParticipantRow
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.api.livekit import LiveKitAdmission, LiveKitUse
from sfu.api.room_acts import SeenParticipant

CONSENT_ATTRIBUTE = "parley.consent"
"""The attribute in which an application states what its participant has agreed to: recording, captions, analysis."""

_KINDS = ("agent", "egress", "ingress", "sip")
_MAX_AGENTS = 20
_PUSH_SECONDS = 2.0
_MOVED_SECONDS = 6 * 3600
"""Lifetime of the token of a participant that was moved; it is the SDKs' default."""
_CONSENTS = ("recording", "captions", "analysis")
_SOURCES = {
    "camera": Source.CAMERA,
    "microphone": Source.MICROPHONE,
    "screen_share": Source.SCREEN,
    "screen_share_audio": Source.SCREEN_AUDIO,
}


async def admit(services: Services, use: LiveKitUse) -> LiveKitAdmission:
    """Return a join token for the bearer of an access token, or the refusal; raises Problem 503 without a node."""
    keys = services.livekit_keys
    try:
        claims = await keys.admitted(use.token)
        meeting = await meeting_of(services, claims)
        return await _admit(services, claims, meeting, await keys.signed(livekit_tokens.refreshed(use.token)))
    except TokenRefused as refused:
        return LiveKitAdmission(status=refused.status, detail=refused.detail)


async def meeting_of(services: Services, claims: AccessToken) -> str:
    """Return the meeting that a token's claims name, placed on a node; create it if joining may create meetings.

    Raises TokenRefused.
    """
    name = claims.video.room
    async with services.pool.acquire() as connection:
        meeting = await livekit_rooms.meeting_of(connection, name)
        if meeting is None:
            async with connection.transaction():
                if not services.config.livekit_create_rooms:
                    raise TokenRefused(404, "requested room does not exist")
                meeting = await create(services, connection, name, _wish_of(claims.room_config))
        await placing.ensure(services, connection, meeting)
    return meeting


async def room_of(services: Services, claims: AccessToken) -> str:
    """Return the room to which a token leads: its meeting, or the breakout room to which its bearer was moved."""
    meeting = await meeting_of(services, claims)
    async with services.pool.acquire() as connection:
        breakout = await livekit_rooms.breakout_of(connection, meeting, claims.identity)
        if breakout is not None:
            await placing.ensure(services, connection, breakout)
    return breakout or meeting


class RoomWish(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a room to be created, and the agents to send there; 0 keeps the default.

    A `kept` room is listed at once, until it is joined or its `empty_timeout` has passed.
    """

    metadata: str = ""
    agents: tuple[RoomAgent, ...] = ()
    kept: bool = True
    empty_timeout: int = 0
    departure_timeout: int = 0
    max_participants: int = 0


def wish_of(asked: "livekit_room.CreateRoomRequest | livekit_room.RoomConfiguration") -> RoomWish:
    """Return the settings of a room that an application describes."""
    return RoomWish(
        metadata=asked.metadata,
        empty_timeout=asked.empty_timeout,
        departure_timeout=asked.departure_timeout,
        max_participants=asked.max_participants,
        agents=tuple(
            RoomAgent(agent_name=one.agent_name, metadata=one.metadata, attributes=dict(one.attributes))
            for one in asked.agents
        ),
    )


def _wish_of(configuration: RoomConfiguration | None) -> RoomWish:
    """Return the settings of a room that joining creates."""
    if configuration is None:
        return RoomWish(kept=False)
    return RoomWish(metadata=configuration.metadata, agents=tuple(configuration.agents), kept=False)


async def create(services: Services, connection: Connection, name: str, wish: RoomWish) -> str:
    """Create the meeting for a room name, unless another request just did; raises TokenRefused if it has no owner."""
    config = services.config
    await livekit_rooms.lock_name(connection, name)
    known = await livekit_rooms.meeting_of(connection, name)
    if known is not None:
        return known
    owner = await _owner(services, connection)
    # As with LiveKit's server, the application informs its users about recordings.
    settings = msgspec.structs.replace(defaults(config), lobby=False, consent="implied")
    if wish.max_participants:
        settings = msgspec.structs.replace(settings, capacity=max(2, min(wish.max_participants, MAX_CAPACITY)))
    meeting = await _create(connection, owner, name, settings, wish.metadata)
    await livekit_rooms.bind(connection, name, meeting)
    for agent in wish.agents[:_MAX_AGENTS]:
        await agent_jobs.add(
            connection, meeting, name, agent.agent_name, metadata=agent.metadata, attributes=agent.attributes
        )
    if wish.kept:
        await livekit_rooms.keep(
            connection, name, wish.empty_timeout or 300, wish.departure_timeout or 20, wish.max_participants
        )
    return meeting


async def create_unnamed(services: Services, connection: Connection, title: str) -> str:
    """Create a meeting that no room name leads to; raises TokenRefused if it has no owner."""
    owner = await _owner(services, connection)
    settings = msgspec.structs.replace(defaults(services.config), lobby=False, consent="implied")
    return await _create(connection, owner, title, settings, "")


async def _owner(services: Services, connection: Connection) -> str:
    """Return the account that owns meetings of applications; raises TokenRefused if there is none."""
    named = services.config.livekit_owner
    owner = await livekit_rooms.owner(connection, users.key(named) if named else None)
    if owner is None:
        raise TokenRefused(404, "requested room does not exist")
    return owner


async def _create(connection: Connection, owner: str, title: str, settings: MeetingSettings, metadata: str) -> str:
    plan = Plan(
        title=title,
        description="",
        passcode_hash=None,
        settings=settings,
        scheduled_start=None,
        scheduled_end=None,
        time_zone="UTC",
        recurrence=None,
    )
    meeting = await meetings.create(connection, owner, plan)
    state = grants.first_state(meeting.id, settings)
    await rooms.create_state(connection, msgspec.structs.replace(state, metadata=metadata))
    payload = {"meeting": meeting.id, "title": meeting.title, "host": meeting.host_id}
    await outbox.append(connection, outbox.MEETING_EVENTS, meeting.id, "meeting.created", payload)
    return meeting.id


class _Place(NamedTuple):
    """A room in which a bearer was given a place, as `person`. `changed` is its desired state, if that changed."""

    room: str
    person: ParticipantRow
    epoch: int
    granted: Grants
    changed: DesiredState | None
    was_out: bool


async def _admit(services: Services, claims: AccessToken, meeting: str, refreshed: str) -> LiveKitAdmission:
    async with services.pool.acquire() as connection, connection.transaction():
        row = await meetings.lock(connection, meeting)
        state = await rooms.state(connection, meeting)
        if row is None or state is None or state.ended:
            raise TokenRefused(404, "requested room does not exist")
        person = await participants.with_identity(connection, meeting, claims.identity, claims.name or claims.identity)
        if person.removed_at is not None:
            raise TokenRefused(403, "a host removed this participant")
        if await seats.is_full(services, connection, row, person.id, host=claims.video.room_admin):
            raise TokenRefused(503, "the room is full")
        await seats.hold(connection, person.id)
        there = state.elsewhere.get(person.id)
        place = await _placed(services, connection, row, state, person, claims=claims) if there is None else None
    if there is not None:
        place = await _placed_in_breakout(services, there.meeting, person, claims)
    assert place is not None
    if place.changed is not None and place.was_out:  # the nodes must know it before the bearer arrives
        await asyncio.wait(services.nodes.push(place.changed), timeout=_PUSH_SECONDS)
    else:
        services.nodes.push(place.changed)
    ice_servers = turn.ice_servers(services.config.turn, place.person.id, int(datetime.now(UTC).timestamp()))
    token = services.tokens.join(
        place.room,
        place.person.id,
        place.person.name,
        None,
        place.granted,
        epoch=place.epoch,
        returning=True,
        identity=claims.identity,
        metadata=claims.metadata or person.metadata,
        attributes=claims.attributes,
        kind=kind_of(claims),
    )
    agreed = {part.strip() for part in claims.attributes.get(CONSENT_ATTRIBUTE, "").split(",")}
    return LiveKitAdmission(
        token=token,
        room_name=claims.video.room if there is None else there.title,
        refreshed=refreshed,
        consents=tuple(consent for consent in _CONSENTS if consent in agreed),
        ice_servers=tuple(ice_servers),
    )


async def _placed_in_breakout(services: Services, breakout: str, main: ParticipantRow, claims: AccessToken) -> _Place:
    """Give a participant of the main room its place in its breakout room.

    It uses its own transaction: here, meetings are locked one after the other; elsewhere, all are locked in one order.
    """
    async with services.pool.acquire() as connection, connection.transaction():
        row = await meetings.lock(connection, breakout)
        state = await rooms.state(connection, breakout)
        if row is None or state is None or state.ended or (row.closes_at and row.closes_at <= datetime.now(UTC)):
            raise TokenRefused(503, "the breakout room has closed")
        person = await breakouts.enter(connection, breakout, main, new_id("participant"))
        return await _placed(services, connection, row, state, person, claims=claims)


async def _placed(
    services: Services,
    connection: Connection,
    row: MeetingRow,
    state: DesiredState,
    person: ParticipantRow,
    *,
    claims: AccessToken,
) -> _Place:
    placement = await placing.place(services, connection, row.id, services.config.region)
    granted, changed = await _granted(connection, state, person, claims, grants.settings_of(row))
    return _Place(row.id, person, placement.epoch, granted, changed, was_out=person.id in state.removed)


async def _granted(
    connection: Connection, state: DesiredState, person: ParticipantRow, claims: AccessToken, settings: MeetingSettings
) -> tuple[Grants, DesiredState | None]:
    """Return the token's grants, less what a host has muted, and the new desired state if it changed."""
    before = grants.current(state, person.id, person.role, settings)
    granted = msgspec.structs.replace(_grants_of(claims, settings), muted=before.muted)
    if granted == before and person.id not in state.removed:
        return granted, None

    def edit(known: DesiredState) -> DesiredState:
        """A participant removed by an application may return with a token; one removed by a host may not."""
        return grants.with_grants(grants.without_removed(known, person.id), person.id, granted)

    return granted, await rooms.edit_state(connection, state.room, edit)


async def token_for(services: Services, key: str, seen: SeenParticipant, room: str) -> str:
    """Return an access token by which a participant joins another room as it is; raises TokenRefused."""
    info, held, now = seen.info, seen.grants, int(time.time())
    video = {
        "roomJoin": True,
        "room": room,
        "roomAdmin": held.host,
        "roomRecord": held.record,
        "canPublish": bool(held.publish),
        "canPublishSources": [name for name, source in _SOURCES.items() if source in held.publish],
        "canPublishData": held.data,
        "canSubscribe": held.subscribe,
        "canUpdateOwnMetadata": held.describe,
        "hidden": held.hidden,
    }
    claims = {
        "iss": key,
        "sub": info.identity,
        "name": info.name,
        "nbf": now,
        "exp": now + _MOVED_SECONDS,
        "kind": info.kind,
        "metadata": info.metadata,
        "attributes": info.attributes,
        "video": video,
    }
    return await services.livekit_keys.signed(claims)


def kind_of(claims: AccessToken) -> str:
    """Return the kind of a token's bearer that is not a person: `agent`, `egress`, `ingress` or `sip`."""
    kind = claims.kind.lower()
    if kind in _KINDS:
        return kind
    return "agent" if claims.video.agent else "egress" if claims.video.recorder else ""


def _grants_of(claims: AccessToken, settings: MeetingSettings) -> Grants:
    video = claims.video
    publish = tuple(Source)
    if video.can_publish_sources:
        named = {_SOURCES.get(source.lower()) for source in video.can_publish_sources}
        publish = tuple(source for source in Source if source in named)
    if video.can_publish is False or video.hidden:
        publish = ()
    data = video.can_publish_data is not False if video.can_publish_data is not None else video.can_publish is not False
    return Grants(
        publish=publish,
        subscribe=video.can_subscribe is not False,
        chat=data and settings.may_chat,
        data=data,
        host=video.room_admin,
        record=video.room_record,
        describe=bool(video.can_update_own_metadata),
        hidden=video.hidden,
    )
