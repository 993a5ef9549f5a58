"""Deletion of meetings and accounts from every store: rows, recordings, files. Live rooms end first."""

import functools

import msgspec

from control import uploads
from control.database import Connection
from control.meetings import grants
from control.meetings.ending import end_in_transaction
from control.problem import Problem
from control.recordings.broadcasts import images_folder
from control.services import Services
from control.store import (
    audit,
    breakouts,
    erasure,
    jobs,
    loose_files,
    media,
    meetings,
    outbox,
    participants,
    placements,
    recordings,
    rooms,
    users,
)
from sfu.api.desired_state import DesiredState


async def delete_meeting(services: Services, meeting: str, actor: str, address: str) -> None:
    """End a meeting and delete it with its breakout rooms and all its data.

    Raises Problem 409 while it is being recorded, or if a recording is on hold.
    """
    async with services.pool.acquire() as connection:
        if await recordings.any_held(connection, meeting):
            raise _held()
        within = await breakouts.of_meeting(connection, meeting)
    for room in within:
        await delete_meeting(services, room.id, actor, address)
    async with services.pool.acquire() as connection:
        kept = await recordings.of_meeting(connection, meeting)
        if any(recording.state in {"recording", "sealing"} for recording in kept):
            raise Problem(409, "recording", "A recording is running or being finished. Delete the meeting afterwards.")
        files = await media.of_meeting(connection, meeting)
        placement = await placements.of(connection, meeting)
        async with connection.transaction():
            if await recordings.any_held(connection, meeting):
                raise _held()
            await end_in_transaction(connection, meeting)
            state = await rooms.state(connection, meeting)
            people = [one.id for one in await participants.of_meeting(connection, meeting)]
            await erasure.deliveries(connection, [meeting])
            await erasure.audit(connection, [meeting, *people, *(recording.id for recording in kept)])
            await meetings.delete(connection, meeting)
            await loose_files.loosen(connection, [file.id for file in files])
            subjects = [meeting, *(recording.id for recording in kept), *(file.id for file in files)]
            await jobs.forget_about(connection, subjects)
            await outbox.append_for_user(connection, actor, "meeting.deleted", {"meeting": meeting})
            await audit.write(connection, actor, "delete_meeting", meeting, address)
    if state is not None and placement is not None:
        services.nodes.push(msgspec.structs.replace(state, placement=placement))
    for recording in kept:
        await services.archive.remove(recording.id)
    await services.archive.objects.remove_all(images_folder(meeting))
    await services.results.forget([file.id for file in files])
    await uploads.delete(services, [file.id for file in files])


async def delete_account(services: Services, user: str) -> None:
    """Delete an account and everything it owns; raises Problem 409 for the last administrator.

    It also raises Problem 409 if a recording of the account is on hold.
    """
    async with services.pool.acquire() as connection:
        if await recordings.any_held_of(connection, user):
            raise _held()
        async with connection.transaction():
            await _keep_an_admin(connection, user)
        hosted = await meetings.hosted_by(connection, user)
    for meeting in hosted:
        await delete_meeting(services, meeting, user, "")
    async with services.pool.acquire() as connection, connection.transaction():
        await _keep_an_admin(connection, user)
        files = [file.id for file in await media.all_of_user(connection, user)]
        avatar = await media.avatar(connection, user)
        loose = files if avatar is None else [*files, avatar]
        states = await _leave_rooms(connection, user)
        await jobs.forget_about(connection, [user, *files])
        await erasure.invitations(connection, user)
        await erasure.account_events(connection, user)
        await users.delete(connection, user)
        await loose_files.loosen(connection, loose)
        await outbox.append_for_user(connection, user, "user.deleted", {"user": user})
    services.nodes.push(*states)
    await services.results.forget(files)
    await uploads.delete(services, loose)


async def _keep_an_admin(connection: Connection, user: str) -> None:
    if await users.active_admins(connection) == [user]:
        raise Problem(409, "last_admin", "This is the last administrator. Make somebody else an administrator first.")


def _held() -> Problem:
    return Problem(409, "held", "A recording is on legal hold. It cannot be deleted until the hold is released.")


async def _leave_rooms(connection: Connection, user: str) -> list[DesiredState]:
    """Remove an account from its live rooms, and its name from all others; return the states to push."""
    changed = []
    visits = await erasure.of_user(connection, user)
    for visit in (one for one in visits if one["live"] or one["named"]):
        meeting, participant = visit["meeting"], visit["participant"]
        await meetings.lock(connection, meeting)
        edit = functools.partial(_out if visit["live"] else _forgotten, participant=participant)
        state = await rooms.edit_state(connection, meeting, edit)
        if state is not None and visit["live"]:
            changed.append(state)
    for meeting in await erasure.banned_in(connection, user):
        await rooms.edit_state(connection, meeting, functools.partial(_unbanned, user=user))
    account = await users.by_id(connection, user)
    address = [account.email] if account is not None and account.email is not None else []
    names = [user, *address, *(visit["participant"] for visit in visits)]
    await erasure.events(connection, names)
    await erasure.deliveries(connection, names)
    await erasure.audit(connection, names)
    return changed


def _out(state: DesiredState, participant: str) -> DesiredState:
    return grants.with_removed(state, participant, None)


def _forgotten(state: DesiredState, participant: str) -> DesiredState:
    return msgspec.structs.replace(
        state,
        removed=tuple(one for one in state.removed if one != participant),
        participants={one: given for one, given in state.participants.items() if one != participant},
        elsewhere={one: place for one, place in state.elsewhere.items() if one != participant},
        shared=msgspec.structs.replace(state.shared, spotlight=None)
        if state.shared.spotlight == participant
        else state.shared,
    )


def _unbanned(state: DesiredState, user: str) -> DesiredState:
    return msgspec.structs.replace(state, banned_users=tuple(one for one in state.banned_users if one != user))
