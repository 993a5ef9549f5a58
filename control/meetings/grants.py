"""Grants of a role in a room, given the meeting's settings."""

import msgspec

from control.meetings.settings import MeetingSettings
from control.store.meetings import MeetingRow
from control.store.participants import Role
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source

_SPEAKING = (Source.MICROPHONE, Source.CAMERA)


def settings_of(meeting: MeetingRow) -> MeetingSettings:
    return msgspec.convert(meeting.settings, MeetingSettings)


def for_role(role: Role, settings: MeetingSettings) -> Grants:
    """Return the initial grants of a role."""
    match role:
        case "host" | "co-host":
            return Grants(host=True)
        case "viewer":
            return Grants(publish=(), chat=settings.may_chat, data=False, rename=settings.may_rename)
        case "presenter" | "participant":
            presenter = role == "presenter"
            publish = tuple(Source) if settings.may_share or presenter else _SPEAKING
            return Grants(
                presenter=presenter,
                publish=publish,
                chat=settings.may_chat,
                record=settings.may_record,
                unmute=settings.may_unmute,
                rename=settings.may_rename,
                muted=() if settings.may_unmute else (Source.MICROPHONE,),
            )


def role_of_newcomer(meeting: MeetingRow, *, host: bool) -> Role:
    """Return the initial role of a participant."""
    if host:
        return "host"
    return "viewer" if settings_of(meeting).webinar else "participant"


def first_state(meeting: str, settings: MeetingSettings) -> DesiredState:
    """Return the initial desired state of a meeting."""
    return with_settings(DesiredState(room=meeting, version=1, locked=settings.locked), settings)


def with_settings(state: DesiredState, settings: MeetingSettings) -> DesiredState:
    """Return a desired state with a meeting's settings, except for the lock, which hosts turn on and off by itself."""
    return msgspec.structs.replace(
        state,
        captions=settings.captions,
        e2ee=settings.e2ee,
        consent=settings.consent,
        notice=settings.recording_notice,
    )


def current(state: DesiredState, participant: str, role: Role, settings: MeetingSettings) -> Grants:
    """Return the current grants: those in the desired state, if any, otherwise the role's."""
    return state.participants.get(participant) or for_role(role, settings)


def with_grants(state: DesiredState, participant: str, grants: Grants) -> DesiredState:
    return msgspec.structs.replace(state, participants={**state.participants, participant: grants})


def with_role(
    state: DesiredState, participant: str, before: Role, role: Role, settings: MeetingSettings
) -> DesiredState:
    """Return the state in which a participant has the grants of another role; what hosts muted stays muted."""
    muted = current(state, participant, before, settings).muted
    return with_grants(state, participant, msgspec.structs.replace(for_role(role, settings), muted=muted))


def with_removed(state: DesiredState, participant: str, user: str | None) -> DesiredState:
    """Return the state with the participant removed; with `user`, the account is banned too."""
    removed = tuple(dict.fromkeys((*state.removed, participant)))
    banned = state.banned_users if user is None else tuple(dict.fromkeys((*state.banned_users, user)))
    return msgspec.structs.replace(state, removed=removed, banned_users=banned)


def readmitted(state: DesiredState, participant: str, user: str | None) -> DesiredState:
    """Return the state in which a participant and its account may join again."""
    state = without_removed(state, participant)
    return msgspec.structs.replace(state, banned_users=tuple(one for one in state.banned_users if one != user))


def without_removed(state: DesiredState, participant: str) -> DesiredState:
    return msgspec.structs.replace(state, removed=tuple(one for one in state.removed if one != participant))
