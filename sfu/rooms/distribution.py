"""Distribution of tracks: turns uptracks and subscribers' wishes into candidates for slots, and updates the taps."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from sfu.api.signaling import Slots, TrackState, Watched
from sfu.formats.codecs import Codec
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.subscription import Candidate
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.offering import Offering
from sfu.rooms.participant import Participant

NOT_SHARED = "not_shared"
_CODEC_UNSUPPORTED = "codec_unsupported"


def refresh_all(room: LiveRoom, now: int) -> None:
    """Bring every subscriber's slots and the sinks' taps up to date."""
    offering = room.offerings.renewed()
    for participant in room.participants.values():
        _refresh(room, participant, offering, now)
    room.backups.update(now)
    room.taps.update(now)
    room.transcoding.follow(now)
    for link in room.links.values():
        link.update(now)


def refresh(room: LiveRoom, participant: Participant, now: int) -> None:
    """Bring one subscriber's slots up to date, and tell it if the map changed."""
    _refresh(room, participant, room.offerings.current(), now)
    room.backups.update(now)


def _refresh(room: LiveRoom, participant: Participant, offering: Offering, now: int) -> None:
    subscription, whep_player = participant.subscription, participant.whep_player
    if subscription is None and whep_player is None and not participant.senders:
        return
    audio, video = offering.audio, offering.video
    if offering.restricted or participant.withheld:
        audio, video = _shared(room, participant, offering)
    holder = subscription or whep_player
    codecs = holder.video_codecs() if holder is not None else None
    lacks_codecs = codecs is not None and not offering.codecs <= codecs
    # Slots show the most important tracks; a transport looks for its own among all, and any may be undecodable.
    takes_any = bool(participant.senders) or lacks_codecs
    audio = _wanted(participant, audio, None if takes_any or holder is None else holder.most_sounds)
    video = _wanted(participant, video, None if takes_any else room.context.limits.video_slots)
    for sender in participant.senders.values():
        sender.update(audio, video, now)
    unsupported: list[UpTrack] = []
    if codecs is not None and lacks_codecs:
        room.backups.lacks(
            participant.participant, [entry.uptrack for entry in video if entry.uptrack.codec not in codecs]
        )
        unsupported, video = _decoded(video, codecs)
    if whep_player is not None:
        whep_player.update(audio, video, now)
    if subscription is None:
        return
    if unsupported or participant.paused:
        _tell_unsupported(room, participant, unsupported)
    changed = subscription.update(audio, video, now)
    room.touch(subscription.subscribe_peer.peer.number)
    room.adaptation.hurry(now)
    if changed:
        room.context.outbox.tell(participant.session, Slots(slots=subscription.slots()))
        _tell_watched(room, [*audio, *video])


def _tell_watched(room: LiveRoom, candidates: Sequence[Candidate]) -> None:
    """Tell publishers with another protocol, once, that a track of theirs is shown to somebody."""
    for uptrack in [entry.uptrack for entry in candidates if not entry.uptrack.told_watched]:
        publisher = room.participants.get(uptrack.participant)
        uptrack.told_watched = True
        if publisher is not None and publisher.dialect is not None:
            room.context.outbox.tell(publisher.session, Watched(track=uptrack.track))


def _shared(room: LiveRoom, participant: Participant, offering: Offering) -> tuple[list[Candidate], list[Candidate]]:
    """Return the audio and video tracks that are shared with a participant, and tell it about the others."""
    withheld: set[str] = set()
    kept: tuple[list[Candidate], list[Candidate]] = ([], [])
    for of_kind, entries in zip(kept, (offering.audio, offering.video), strict=True):
        for entry in entries:
            who, track = entry.wish.participant, entry.wish.track
            publisher = room.participants[who]
            if who != participant.participant and not publisher.shares(track, participant):
                if not publisher.is_notice:  # others do not know of it
                    withheld.add(track)
            else:
                of_kind.append(entry)
    for track in withheld ^ participant.withheld:
        if track in room.uptracks:
            state = TrackState(track=track, paused=track in withheld, reason=NOT_SHARED if track in withheld else "")
            room.context.outbox.tell(participant.session, state)
    participant.withheld = frozenset(withheld)
    return kept


def _wanted(participant: Participant, candidates: Sequence[Candidate], most: int | None) -> list[Candidate]:
    """Return the first `most` of others' tracks that the participant wants; all of them before its first answer."""
    if not participant.grants.subscribe:
        return []
    me, wants, takes_all = participant.participant, participant.wants, participant.takes_all
    wanted: list[Candidate] = []
    for entry in candidates:
        wish = entry.wish
        said = wants.get(wish.track)
        if wish.participant == me or not (takes_all if said is None else said.on):
            continue
        wanted.append(entry if said is None else Candidate(entry.uptrack, entry.publisher, said, wish))
        if len(wanted) == most:
            break
    return wanted


def _decoded(video: list[Candidate], codecs: AbstractSet[Codec]) -> tuple[list[UpTrack], list[Candidate]]:
    """Return the tracks that a subscriber cannot decode, and the rest, replaced by backups where only those are
    decodable.
    """
    unsupported: list[UpTrack] = []
    decoded: list[Candidate] = []
    for entry in video:
        uptrack = entry.uptrack
        if uptrack.codec in codecs:
            decoded.append(entry)
        elif uptrack.backup is not None and uptrack.backup.codec in codecs:
            decoded.append(entry._replace(uptrack=uptrack.backup))
        else:
            unsupported.append(uptrack)
    return unsupported, decoded


def _tell_unsupported(room: LiveRoom, participant: Participant, unsupported: list[UpTrack]) -> None:
    """Tell a subscriber once which tracks it cannot decode, and when this ends."""
    now_paused = {uptrack.track: _CODEC_UNSUPPORTED for uptrack in unsupported}
    for track in now_paused.keys() - participant.paused.keys():
        room.context.outbox.tell(participant.session, TrackState(track=track, paused=True, reason=_CODEC_UNSUPPORTED))
    for track in (participant.paused.keys() - now_paused.keys()) & room.uptracks.keys():
        room.context.outbox.tell(participant.session, TrackState(track=track, paused=False))
    participant.paused = now_paused


def follow_loudest(room: LiveRoom, now: int) -> None:
    """Reassign the audio slots when the loudest have changed, if there are more publishers of audio than slots."""
    slots = room.context.limits.audio_slots
    if sum(uptrack.is_audio for uptrack in room.uptracks.values()) > slots and room.speakers.loudest_changed(slots):
        refresh_all(room, now)
