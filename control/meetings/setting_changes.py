"""Changes of a meeting's settings, applied to its live room and its breakout rooms.

Breakout rooms copy the settings that change, as they copied all settings when they were created. A setting that a host
changed in a breakout room stays. The lock is not copied, since newcomers join through the main room, and participants
may be moved to any room.
"""

from collections.abc import Iterable

import msgspec

from control.database import Connection
from control.meetings import grants
from control.meetings.settings import MeetingSettings
from control.store import breakouts, meetings, participants, rooms
from control.store.meetings import MeetingRow
from control.store.participants import HOSTS, ParticipantRow
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source


async def carry(connection: Connection, meeting: MeetingRow, old: MeetingRow) -> list[DesiredState | None]:
    """Apply changed settings and return the desired states to push. Locks the meeting and its breakout rooms."""
    settings, before = grants.settings_of(meeting), grants.settings_of(old)
    if settings == before:
        return []
    changed = [await _apply(connection, meeting.id, settings, before, locked=settings.locked)]
    for one in await breakouts.of_meeting(connection, meeting.id):
        room = await meetings.by_id(connection, one.id)
        if room is not None and room.status != "ended":
            own = grants.settings_of(room)
            taken_over = _taken_over(own, settings, before)
            await meetings.set_settings(connection, room.id, taken_over)
            changed.append(await _apply(connection, room.id, taken_over, own, locked=own.locked))
    return changed


def _taken_over(own: MeetingSettings, settings: MeetingSettings, before: MeetingSettings) -> MeetingSettings:
    """Return a breakout room's settings with the changes of the main room."""
    changed = {
        name: getattr(settings, name)
        for name in settings.__struct_fields__
        if name != "locked" and getattr(settings, name) != getattr(before, name)
    }
    return msgspec.structs.replace(own, **changed)


async def _apply(
    connection: Connection, room: str, settings: MeetingSettings, before: MeetingSettings, *, locked: bool
) -> DesiredState | None:
    """Update a room's desired state, with new grants for each present participant."""
    rights_changed = grants.for_role("participant", settings) != grants.for_role("participant", before)
    people = await participants.of_meeting(connection, room) if rights_changed else []

    def edit(state: DesiredState) -> DesiredState:
        return msgspec.structs.replace(
            grants.with_settings(state, settings),
            locked=locked,
            participants={**state.participants, **_rights(state, people, settings, before)},
        )

    return await rooms.edit_state(connection, room, edit)


def _rights(
    state: DesiredState, people: Iterable[ParticipantRow], settings: MeetingSettings, before: MeetingSettings
) -> dict[str, Grants]:
    """Return the current grants of participants who are not hosts; sources muted by a host stay muted.

    Microphones are muted when participants may no longer unmute themselves, and released when they may again.
    """
    rights = {}
    for person in people:
        if person.removed_at is None and person.role not in HOSTS:
            muted = grants.current(state, person.id, person.role, before).muted
            if settings.may_unmute != before.may_unmute and person.role in {"presenter", "participant"}:
                others = tuple(source for source in muted if source is not Source.MICROPHONE)
                muted = others if settings.may_unmute else (*others, Source.MICROPHONE)
            rights[person.id] = msgspec.structs.replace(grants.for_role(person.role, settings), muted=muted)
    return rights
