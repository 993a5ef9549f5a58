"""Changes that participants make to themselves: names, metadata, attributes, audiences, lists of data tracks."""

from sfu.api import signaling
from sfu.api.refusal import Code, Refused
from sfu.rooms import distribution
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room

MAX_ATTRIBUTES_BYTES = 65_536


def describe(room: Room, participant: Participant, message: signaling.Describe, now: int) -> None:
    """Change what others see of a participant, and tell everyone; raises Refused."""
    if not participant.grants.describe:
        raise Refused(Code.NOT_PERMITTED, "You may not change your name, metadata or attributes here.")
    if not participant.negotiation_bucket.take(now):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too many changes; wait a moment.")
    change(room, participant, message)


def permit(room: LiveRoom, participant: Participant, message: signaling.Permit, now: int) -> None:
    """Share a participant's tracks with everybody, or with some participants only; raises Refused."""
    if not participant.negotiation_bucket.take(now):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too many changes; wait a moment.")
    participant.audience = None if message.everyone else message.to
    distribution.refresh_all(room, now)


def list_data_tracks(room: Room, participant: Participant, message: signaling.DataTracks, now: int) -> None:
    """Replace a participant's data tracks, and tell everyone; raises Refused."""
    if not participant.grants.data:
        raise Refused(Code.NOT_PERMITTED, "You may not send data here.")
    if not participant.negotiation_bucket.take(now):
        raise Refused(Code.TOO_MANY_REQUESTS, "Too many changes; wait a moment.")
    others = (room.info(one) for one in room.participants.values() if one is not participant)
    taken = {track.track for info in others for track in info.data_tracks}
    if len({track.track for track in message.tracks} - taken) < len(message.tracks):
        raise Refused(Code.BAD_MESSAGE, "Another data track has this id.")
    participant.data_tracks = message.tracks
    room.show_changed(participant)


def change(room: Room, participant: Participant, message: signaling.Describe) -> None:
    """Change what others see of a participant, without checking permission, and tell everyone; raises Refused."""
    changed = participant.attributes | message.attributes
    attributes = {name: value for name, value in changed.items() if value}
    if sum(len(part.encode()) for pair in attributes.items() for part in pair) > MAX_ATTRIBUTES_BYTES:
        raise Refused(Code.BAD_MESSAGE, f"Attributes must not exceed {MAX_ATTRIBUTES_BYTES} bytes.")
    participant.attributes = attributes
    participant.name = participant.name if message.name is None else message.name
    participant.metadata = participant.metadata if message.metadata is None else message.metadata
    room.show_changed(participant)
