"""Deleting meetings and accounts from every store: rows, recordings, files; live rooms end first."""

from control.ending import end_in_transaction
from control.problem import Problem
from control.services import Services
from control.store import audit, breakouts, jobs, media, meetings, outbox, placements, recordings, rooms, users


async def delete_meeting(services: Services, meeting: str, actor: str, address: str) -> None:
    """End a meeting and delete it with its breakout rooms and everything that it left.

    Raises Problem 409 while it is being recorded.
    """
    async with services.pool.acquire() as connection:
        within = await breakouts.of_meeting(connection, meeting)
    for room in within:
        await delete_meeting(services, room.id, actor, address)
    async with services.pool.acquire() as connection:
        kept = await recordings.of_meeting(connection, meeting)
        if any(recording.state in {"recording", "sealing"} for recording in kept):
            raise Problem(409, "recording", "A recording is running or being finished; delete the meeting afterwards.")
        files = await media.of_meeting(connection, meeting)
        placement = await placements.of(connection, meeting)
        async with connection.transaction():
            await end_in_transaction(connection, meeting)
            state = await rooms.state(connection, meeting)
            await meetings.delete(connection, meeting)
            await jobs.forget_about(connection, [meeting, *(recording.id for recording in kept)])
            await outbox.append_for_user(connection, actor, "meeting.deleted", {"meeting": meeting})
            await audit.write(connection, actor, "delete_meeting", meeting, address)
    if state is not None and placement is not None:
        await services.nodes.push_now(placement.node, state)
    for recording in kept:
        await services.archive.remove(recording.id)
    await services.results.forget([file.id for file in files])
    for file in files:
        await services.media.remove(file.id)


async def delete_account(services: Services, user: str) -> None:
    """Delete an account with all that is its own; raises Problem 409 for the last administrator."""
    async with services.pool.acquire() as connection:
        hosted = await meetings.hosted_by(connection, user)
    for meeting in hosted:
        await delete_meeting(services, meeting, user, "")
    async with services.pool.acquire() as connection, connection.transaction():
        if await users.active_admins(connection) == [user]:
            raise Problem(409, "last_admin", "Somebody else must become administrator first.")
        files = await media.all_of_user(connection, user)
        avatar = await media.avatar(connection, user)
        await users.delete(connection, user)
        await outbox.append_for_user(connection, user, "user.deleted", {"user": user})
    await services.results.forget([file.id for file in files])
    for file in files:
        await services.media.remove(file.id)
    if avatar is not None:
        await services.media.remove(avatar)
