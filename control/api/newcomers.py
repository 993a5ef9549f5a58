"""Admission of newcomers: a name or an account, the passcode, and a host's approval where the meeting asks for it.

A lobby ticket proves that its holder gave the passcode. It may be presented repeatedly. The browser of somebody whom a
host removed is refused; a guest from the same address waits for a host's approval.
"""

from control.api import lobby
from control.api.participant_types import JoinMeeting, Waiting
from control.api.recognition import Marks
from control.auth.access import sign_in_required
from control.endpoint import Call
from control.http.limits import Failures
from control.meetings import grants
from control.problem import Problem
from control.store import participants

_WINDOW = 15 * 60


async def check(call: Call, body: JoinMeeting, marks: Marks) -> Waiting | None:
    """Return None if the caller may join now, else the response to wait; raises Problem if it may not join."""
    _check_identity(call, body)
    meeting = call.standing.meeting.id
    async with call.services.pool.acquire() as connection:
        removed = await participants.removed_like(connection, meeting, marks.browser, marks.network)
    if removed.browser:
        raise Problem(403, "removed", "A host removed you from this meeting.")
    is_guest = call.principal is None or call.principal.user is None
    waits = grants.settings_of(call.standing.meeting).lobby or (is_guest and removed.network)
    if body.lobby_ticket is not None:
        return await lobby.ask_again(call, body.lobby_ticket, waits=waits)
    await _check_passcode(call, body)
    subject = f"{meeting}:{call.network}"
    await call.services.limits.spend("newcomers", subject, call.services.config.limits.arrivals, _WINDOW)
    return await lobby.enter(call, body) if waits else None


def _check_identity(call: Call, body: JoinMeeting) -> None:
    if call.principal is not None and call.principal.user is not None:
        return
    if not (call.services.config.guests and grants.settings_of(call.standing.meeting).guests):
        raise sign_in_required()
    if body.name is None:
        raise Problem(400, "name_required", "Guests must give a name.")


async def _check_passcode(call: Call, body: JoinMeeting) -> None:
    services, meeting, given = call.services, call.standing.meeting, body.passcode
    stored = meeting.passcode_hash
    if stored is None:
        return
    if given is None:
        raise Problem(403, "passcode_required", "This meeting requires a passcode.")
    bars = services.config.limits
    limits = (
        Failures("passcode", f"{meeting.id}:{call.network}", bars.passcode_failures, _WINDOW),
        Failures("passcode-meeting", meeting.id, bars.meeting_failures, _WINDOW),
    )
    if not await services.limits.guess(limits, lambda: services.passcodes.verify(stored, given)):
        raise Problem(403, "wrong_passcode", "The passcode is wrong.")
