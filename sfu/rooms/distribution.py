"""Who gets which tracks: a room's uptracks and each subscriber's wishes to candidates for its slots, and the taps."""

from sfu.api.signaling import Slots, TrackState
from sfu.rooms.participant import Participant
from sfu.rooms.room import Room
from sfu.rooms.subscription import Candidate
from sfu.rooms.uptrack import UpTrack

_CODEC_UNSUPPORTED = "codec_unsupported"
_SCREEN_SOURCES = ("screen", "screen-audio")


def refresh_all(room: Room, now: int) -> None:
    """Bring every subscriber's slots and the sinks' taps up to date."""
    for participant in room.participants.values():
        refresh(room, participant, now)
    room.taps.update(now)


def refresh(room: Room, participant: Participant, now: int) -> None:
    """Bring one subscriber's slots up to date, and tell when the map changed."""
    if participant.playback is not None:
        participant.playback.update(*_candidates(room, participant), now)
    subscription = participant.subscription
    if subscription is None:
        return
    audio, video = _candidates(room, participant)
    fit = [entry for entry in video if subscription.can_carry(entry.uptrack)]
    _tell_unsupported(room, participant, [entry.uptrack for entry in video if entry not in fit])
    changed = subscription.update(audio, fit, now)
    room.touch(subscription.egress.peer.number)
    if changed:
        room.context.outbox.tell(participant.session, Slots(slots=subscription.slots()))


def _candidates(room: Room, participant: Participant) -> tuple[list[Candidate], list[Candidate]]:
    """Return the audio and video that the participant should get, most important first."""
    if not participant.grants.subscribe:
        return [], []
    audio: list[Candidate] = []
    video: list[Candidate] = []
    for uptrack in room.uptracks.values():
        publisher = room.publisher_of(uptrack)
        wanted = participant.wants_of(uptrack.track)
        if uptrack.participant == participant.participant or publisher is None or not wanted.on:
            continue
        (audio if uptrack.is_audio else video).append(Candidate(uptrack, publisher, wanted))
    video.sort(key=lambda entry: entry.uptrack.source not in _SCREEN_SOURCES)
    if len(audio) > room.context.limits.audio_slots:
        loudest = {who: rank for rank, who in enumerate(room.speakers.loudest(len(audio)))}
        audio.sort(key=lambda entry: _rank(entry.uptrack, loudest))
    return audio, video


def _rank(uptrack: UpTrack, loudest: dict[str, int]) -> tuple[bool, bool, int]:
    """Shared audio first, then whoever spoke lately, then the rest; muted ones last."""
    quiet = uptrack.muted or uptrack.held
    return quiet, uptrack.source not in _SCREEN_SOURCES, loudest.get(uptrack.participant, len(loudest))


def _tell_unsupported(room: Room, participant: Participant, unsupported: list[UpTrack]) -> None:
    """Tell a subscriber which tracks it cannot decode, once, and when that is over."""
    now_paused = {uptrack.track: _CODEC_UNSUPPORTED for uptrack in unsupported}
    for track in now_paused.keys() - participant.paused.keys():
        room.context.outbox.tell(participant.session, TrackState(track=track, paused=True, reason=_CODEC_UNSUPPORTED))
    for track in (participant.paused.keys() - now_paused.keys()) & room.uptracks.keys():
        room.context.outbox.tell(participant.session, TrackState(track=track, paused=False))
    participant.paused = now_paused


def loudest_only(room: Room) -> bool:
    """Whether more participants publish audio than there are audio slots."""
    return sum(uptrack.is_audio for uptrack in room.uptracks.values()) > room.context.limits.audio_slots
