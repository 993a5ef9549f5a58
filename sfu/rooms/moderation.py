"""The desired state of a room, applied: whatever control wants takes effect here and now."""

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants
from sfu.rooms import distribution, membership, publishing, subscribing
from sfu.rooms.participant import Participant
from sfu.rooms.refusal import Code
from sfu.rooms.room import Room
from sfu.rooms.uptrack import UpTrack


def apply(room: Room, desired: DesiredState, now: int) -> bool:
    """Apply a desired state; False when it is not newer than the one that governs."""
    if room.desired is not None and desired.version <= room.desired.version:
        return False
    room.desired = desired
    for participant in list(room.participants.values()):
        if participant.link is not None:
            continue
        code = _verdict(desired, participant)
        if code is not None:
            membership.put_out(room, participant, code, now)
        else:
            grants = desired.participants.get(participant.participant)
            if grants is not None and grants != participant.grants:
                _change_grants(room, participant, grants, now)
    distribution.refresh_all(room, now)
    return True


def _verdict(desired: DesiredState, participant: Participant) -> Code | None:
    if desired.ended:
        return Code.ENDED
    if participant.participant in desired.removed:
        return Code.REMOVED
    if participant.user is not None and participant.user in desired.banned_users:
        return Code.BANNED
    return None


def _change_grants(room: Room, participant: Participant, grants: Grants, now: int) -> None:
    before = participant.grants
    participant.grants = grants
    room.context.outbox.tell(participant.session, signaling.GrantsChanged(grants=grants))
    if participant.publish is not None:
        for uptrack in list(participant.publish.uptracks.values()):
            _permit(room, uptrack, grants, now)
        room.touch(participant.publish.peer.number)
    if before.subscribe and not grants.subscribe:
        subscribing.end(room, participant, now)
    elif grants.subscribe and not before.subscribe and participant.signaled:
        subscribing.start(room, participant, now)
    if before.host != grants.host:
        room.broadcast(signaling.UserUpdated(participant=room.info(participant)))


def _permit(room: Room, uptrack: UpTrack, grants: Grants, now: int) -> None:
    """Let an uptrack's packets pass or not, and tell what changed."""
    permitted = uptrack.source in grants.publish
    held = uptrack.source in grants.muted
    was_permitted, was_held, passed = uptrack.permitted, uptrack.held, uptrack.passes
    uptrack.permitted, uptrack.held = permitted, held
    for stream in uptrack.streams:
        room.context.engine.set_permitted(stream.number, uptrack.passes)
        if uptrack.passes and not passed:
            stream.request_keyframe(now)
    if was_permitted and not permitted:
        publishing.withdraw(room, uptrack, now)
    elif permitted and not was_permitted:
        publishing.introduce(room, uptrack, now)
    if was_held != held:
        publishing.mute_changed(room, uptrack, now)
