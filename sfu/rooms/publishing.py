"""Publishing by participants: offers, tracks that begin and end, muting by their owner."""

from collections.abc import Mapping

from sfu.api import facts, signaling
from sfu.api.join_token import Source
from sfu.api.refusal import Code, Refused
from sfu.engine.contract import Leftover, Progress
from sfu.peers.duplex_peer import DuplexPeer
from sfu.peers.publish.negotiated_publish_peer import Declared, NegotiatedPublishPeer, PublishChange
from sfu.peers.publish.uptrack import CODEC_NAMES, UpTrack
from sfu.rooms import distribution, subscribing
from sfu.rooms.live_room import LiveRoom
from sfu.rooms.participant import Participant
from sfu.rooms.peer_index import Owner


def offer(
    room: LiveRoom,
    participant: Participant,
    sdp: str,
    declared: Mapping[str, Declared],
    now: int,
    *,
    fresh: bool = False,
) -> PublishChange:
    """Take an offer for the participant's publish peer, or for a new one with `fresh`; raises Refused.

    The caller sends the answer, then calls `announce`.
    """
    wished = {entry.source for entry in declared.values()}
    receives_too = participant.dialect is not None and participant.dialect.has_one_peer
    allowed = participant.grants.publish and (not wished or wished & set(participant.grants.publish))
    if not allowed and not receives_too:  # if it also receives, tracks that may not be published are kept from others
        raise Refused(Code.PUBLISH_NOT_PERMITTED, "You may not publish this here.")
    if any(entry.track and _is_taken(room, participant, entry.track) for entry in declared.values()):
        raise Refused(Code.OFFER_REFUSED, "The offer chose the id of another track.")
    if fresh and participant.publish is not None:
        end(room, participant, now)
    known = participant.publish
    publish = known if isinstance(known, NegotiatedPublishPeer) else _new_peer(room, participant, now)
    try:
        is_sealed = room.desired is not None and room.desired.e2ee
        change = publish.offer(sdp, declared, participant.grants, now, red=not is_sealed)
    except ValueError as error:
        if publish is not known:
            if isinstance(publish, DuplexPeer):
                subscribing.end(room, participant, now)
            participant.publish = known
            room.context.outbox.send(publish.peer.close(now))
        raise Refused(Code.OFFER_REFUSED, f"The offer cannot be answered: {error}") from error
    participant.publish = publish
    room.peers.add(Owner(room, participant, publish))
    room.touch(publish.peer.number)
    return change


def _new_peer(room: LiveRoom, participant: Participant, now: int) -> NegotiatedPublishPeer:
    dialect = participant.dialect
    if dialect is None:
        return NegotiatedPublishPeer(room.context, participant.participant, now)
    kind = DuplexPeer if dialect.has_one_peer else NegotiatedPublishPeer
    publish = kind(room.context, participant.participant, now)
    publish.open_data(dialect.publish_labels)
    if isinstance(publish, DuplexPeer):
        participant.publish = publish
        subscribing.start(room, participant, now)
    return publish


def _is_taken(room: LiveRoom, participant: Participant, track: str) -> bool:
    known = room.uptracks.get(track)
    return known is not None and known.participant != participant.participant


def announce(
    room: LiveRoom, participant: Participant, change: PublishChange, declared: Mapping[str, Declared], now: int
) -> None:
    """Tell the room about an offer's changes."""
    uptracks = participant.publish.uptracks if participant.publish is not None else {}
    for mid, uptrack in uptracks.items():
        if mid in declared and uptrack.muted != declared[mid].muted:
            uptrack.muted = declared[mid].muted
            mute_changed(room, uptrack, now)
    for uptrack in change.removed:
        withdraw(room, uptrack, now)
    for uptrack in change.added:
        if uptrack.permitted:
            introduce(room, uptrack, now)
        else:
            room.context.outbox.tell(
                participant.session,
                Refused(Code.NOT_PERMITTED, f"You may not publish {uptrack.source.value} here.").message(),
            )
    distribution.refresh_all(room, now)


def introduce(room: LiveRoom, uptrack: UpTrack, now: int) -> None:
    """Announce a track to others. The caller refreshes the subscribers."""
    if uptrack.backup_of:
        room.backups.attach(uptrack)
        return
    room.uptracks[uptrack.track] = uptrack
    room.adaptation.welcome(uptrack, now)
    room.broadcast(signaling.TrackPublished(track=uptrack.info()), but=uptrack.participant)
    room.report(
        facts.TrackPublished(
            room=room.room,
            at=room.context.unix_ms(now),
            participant=uptrack.participant,
            track=uptrack.track,
            source=uptrack.source.value,
            codec=CODEC_NAMES[uptrack.codec],
            info=uptrack.info(),
        )
    )


def withdraw(room: LiveRoom, uptrack: UpTrack, now: int, *, report: bool = True) -> None:
    """Withdraw a track from others. The caller refreshes the subscribers, which empties their slots."""
    if uptrack.backup_of:
        room.backups.detach(uptrack)
        return
    if room.uptracks.pop(uptrack.track, None) is None:
        return
    room.taps.stream_gone(uptrack, now)
    room.speakers.remove(uptrack.participant)
    for participant in room.participants.values():
        participant.wants.pop(uptrack.track, None)
    room.broadcast(signaling.TrackUnpublished(track=uptrack.track))
    if not report:
        return
    room.report(
        facts.TrackUnpublished(
            room=room.room,
            at=room.context.unix_ms(now),
            participant=uptrack.participant,
            track=uptrack.track,
            info=uptrack.info(),
        )
    )


def unpublish(room: LiveRoom, participant: Participant, track: str, now: int) -> None:
    """End one of the participant's own tracks; raises Refused."""
    uptrack = _own(participant, track)
    assert participant.publish is not None
    withdraw(room, uptrack, now)
    participant.publish.forget(uptrack)
    distribution.refresh_all(room, now)


def set_muted(
    room: LiveRoom, participant: Participant, track: str, muted: bool, now: int, *, too_slow: bool = False
) -> None:
    """Mute or unmute one of the participant's own tracks; raises Refused. A host's mute stays in any case.

    `too_slow`: it was muted because the participant's network is too slow.
    """
    uptrack = _own(participant, track)
    if uptrack.muted_by_host and not muted:
        raise Refused(Code.NOT_PERMITTED, "A host has muted this track.")
    if (uptrack.too_slow or too_slow) and participant.publish is not None:
        participant.publish.uplink.told(now)
    uptrack.too_slow = muted and too_slow
    if uptrack.muted != muted:
        uptrack.muted = muted
        if uptrack.hushed and not muted:
            uptrack.hushed = False
            let_pass(room, uptrack, now)
        mute_changed(room, uptrack, now)


def hush(room: LiveRoom, track: str, now: int) -> bool:
    """Mute a track in its publisher's place, who may unmute it; return whether the track is on this node."""
    uptrack = room.uptracks.get(track)
    publisher = room.participants.get(uptrack.participant) if uptrack is not None else None
    if uptrack is None or publisher is None or publisher.link is not None:
        return False
    if not uptrack.muted:
        uptrack.muted = uptrack.hushed = True
        let_pass(room, uptrack, now)
        mute_changed(room, uptrack, now)
    return True


def let_pass(room: LiveRoom, uptrack: UpTrack, now: int) -> None:
    """Let the engine forward an uptrack's packets, or stop."""
    for stream in uptrack.streams:
        room.context.engine.set_permitted(stream.number, uptrack.passes)
        if uptrack.passes:
            stream.request_keyframe(now)


def mute_changed(room: LiveRoom, uptrack: UpTrack, now: int) -> None:
    """Tell everyone whether a track is muted."""
    if uptrack.is_quiet:
        room.speakers.remove(uptrack.participant)
    if uptrack.track in room.uptracks:
        room.broadcast(signaling.TrackMuted(track=uptrack.track, muted=uptrack.is_quiet, by_host=uptrack.muted_by_host))
        room.taps.mute_changed(uptrack, now)


def _own(participant: Participant, track: str) -> UpTrack:
    uptracks = participant.publish.uptracks.values() if participant.publish is not None else ()
    for uptrack in uptracks:
        if uptrack.track == track:
            return uptrack
    raise Refused(Code.UNKNOWN_TRACK, "You do not publish this track.")


def unknown_ssrc(room: LiveRoom, participant: Participant, leftover: Leftover, now: int) -> bool:
    """Register the stream of a packet, which must then be resubmitted; return False if it belongs to nobody."""
    publish = participant.publish
    if publish is None or publish.peer.number != leftover.peer:
        return False
    known = frozenset(publish.streams)
    stream = publish.unknown_ssrc(leftover)
    if stream is None:
        return False
    uptrack = publish.uptrack_of(stream.number)
    if uptrack is not None and stream.number not in known:  # else it is the RTX of a known stream
        for watcher in uptrack.watchers:
            watcher.choose(now)
        room.taps.update(now)
        room.transcoding.follow(now)
        for link in room.links.values():
            link.is_behind = True
        room.adaptation.hurry(now)
        room.stir(now)
    room.touch(publish.peer.number)
    return True


def end(room: LiveRoom, participant: Participant, now: int) -> None:
    """Close the publish peer and withdraw its tracks. The caller refreshes the subscribers."""
    publish = participant.publish
    if publish is None:
        return
    if isinstance(publish, DuplexPeer):
        subscribing.end(room, participant, now)
    for uptrack in list(publish.uptracks.values()):
        withdraw(room, uptrack, now)
        publish.forget(uptrack)
    room.peers.remove(publish.peer.number)
    room.touch(publish.peer.number)
    room.context.outbox.send(publish.peer.close(now))
    participant.publish = None


def voices(room: LiveRoom) -> dict[str, Progress]:
    """Return the levels of microphones that others can hear and that send audio levels."""
    found: dict[str, Progress] = {}
    for uptrack in room.uptracks.values():
        if uptrack.source is not Source.MICROPHONE or uptrack.muted or not uptrack.passes:
            continue
        for stream in uptrack.streams:
            if stream.progress.heard_at:
                uptrack.tells_levels = True  # tracks from another node have no negotiation
                found[uptrack.participant] = stream.progress
    return found
