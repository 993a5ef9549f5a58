"""Application of a room's desired state, which takes effect at once."""

from sfu.api import signaling
from sfu.api.desired_state import DesiredState, Destination
from sfu.api.join_token import Grants
from sfu.api.refusal import Code
from sfu.peers.publish.uptrack import UpTrack
from sfu.rooms import consent_policy, distribution, membership, notices, publishing, subscribing
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant


def apply(room: LiveRoom, desired: DesiredState, now: int) -> bool:
    """Apply a desired state; return False if it is not newer than the current one."""
    if room.desired is not None and desired.version <= room.desired.version:
        return False
    before, room.desired = room.desired, desired
    demands = before is not None and before.consent != "required"
    for participant in room.own():
        code = _verdict(desired, participant)
        destination = desired.returns_to if desired.ended else desired.elsewhere.get(participant.participant)
        if code is not None:
            membership.put_out(room, participant, code, now)
        elif destination is not None:
            send_away(room, participant, destination, now)
        elif demands and consent_policy.is_owed(room, participant):
            membership.put_out(room, participant, Code.CONSENT_REQUIRED, now)
        else:
            _keep(room, participant, desired, now)
    notices.begin_for_all(room, before, now)
    if before is not None:
        _tell_all(room, before, desired, now)
    distribution.refresh_all(room, now)
    close_when_due(room, now)
    return True


def _keep(room: LiveRoom, participant: Participant, desired: DesiredState, now: int) -> None:
    consent_policy.imply(room, participant, now)
    grants = desired.participants.get(participant.participant)
    if grants is not None and grants != participant.grants:
        _change_grants(room, participant, grants, now)


def _tell_all(room: LiveRoom, before: DesiredState, desired: DesiredState, now: int) -> None:
    """Tell everyone about announcements, metadata, the shared state, and the time at which the room closes."""
    said = desired.announcement
    if said is not None and said != before.announcement:
        room.broadcast(signaling.Announced(id=said.id, name=said.name, text=said.text, at=said.at))
    if desired.metadata != before.metadata:
        room.broadcast(signaling.RoomDescribed(metadata=desired.metadata))
    if desired.shared != before.shared:
        room.broadcast(signaling.Shared(state=desired.shared))
    if desired.closes_at != before.closes_at:
        room.broadcast(signaling.Closing(at=desired.closes_at))
        room.stir(now)  # a still room would look at the time too late


def send_away(room: LiveRoom, participant: Participant, destination: Destination, now: int) -> None:
    """Tell a participant to join another room of the meeting, and remove it from this one."""
    said = signaling.Move(meeting=destination.meeting, title=destination.title)
    room.context.outbox.tell(participant.session, said)
    membership.put_out(room, participant, Code.REASSIGNED, now)


def close_when_due(room: LiveRoom, now: int) -> None:
    """Send everyone back once a breakout room's time is over."""
    desired = room.desired
    if desired is None or desired.closes_at is None or desired.returns_to is None:
        return
    if room.context.unix_ms(now) >= desired.closes_at:
        for participant in room.own():
            send_away(room, participant, desired.returns_to, now)


def _verdict(desired: DesiredState, participant: Participant) -> Code | None:
    if desired.ended and desired.returns_to is None:
        return Code.ENDED
    if participant.participant in desired.removed:
        return Code.REMOVED
    if participant.user is not None and participant.user in desired.banned_users:
        return Code.BANNED
    return None


def _change_grants(room: LiveRoom, participant: Participant, grants: Grants, now: int) -> None:
    before, owes = participant.grants, consent_policy.is_owed(room, participant)
    participant.grants = grants
    room.context.outbox.tell(participant.session, signaling.GrantsChanged(grants=grants))
    if participant.publish is not None:
        for uptrack in list(participant.publish.uptracks.values()):
            _permit(room, uptrack, grants, now)
        room.touch(participant.publish.peer.number)
    if before.subscribe and not grants.subscribe:
        subscribing.end(room, participant, now)
    elif grants.subscribe and not before.subscribe and participant.signaled and not owes:
        subscribing.start(room, participant, now)
    if _shown(before) != _shown(grants):
        room.show_changed(participant)


def _shown(grants: Grants) -> tuple[bool, bool, bool]:
    """Return what others see of a participant's grants."""
    return grants.host, grants.presenter, bool(grants.publish)


def _permit(room: LiveRoom, uptrack: UpTrack, grants: Grants, now: int) -> None:
    """Forward an uptrack's packets, or stop, and report changes."""
    permitted = uptrack.source in grants.publish
    muted_by_host = grants.mutes(uptrack.source)
    was_permitted, was_muted_by_host, passed = uptrack.permitted, uptrack.muted_by_host, uptrack.passes
    uptrack.permitted, uptrack.muted_by_host = permitted, muted_by_host
    if uptrack.passes != passed:
        publishing.let_pass(room, uptrack, now)
    if was_permitted and not permitted:
        publishing.withdraw(room, uptrack, now)
    elif permitted and not was_permitted:
        publishing.introduce(room, uptrack, now)
    if was_muted_by_host != muted_by_host:
        publishing.mute_changed(room, uptrack, now)
