"""Audio of a room and its subscribers: how much flows, and which tracks are left out on a thin link.

`machines/layers/sounds.py` chooses the tracks.
"""

from collections.abc import Iterable

from sfu.api.join_token import Source
from sfu.machines.layers.sounds import Sound, fits, spared
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.rooms.adapted_subscriber import AdaptedSubscriber

_ENOUGH = 2_000_000.0
"""The estimate (bits/s) from which on no audio is left out."""


def audio_rate_of(uptracks: Iterable[UpTrack], now: int) -> float:
    """Return the rate (bits/s) of all audio that flows."""
    return sum(
        stream.bits_per_second
        for uptrack in uptracks
        if uptrack.is_audio
        for stream in uptrack.streams
        if stream.active(now)
    )


def audio_rate_to(subscribe_peer: SubscribePeer, now: int) -> float:
    """Return the cost (bits/s) of the audio that flows to a subscriber, and of its copies."""
    return subscribe_peer.audio_copies.times * sum(
        downtrack.stream.bits_per_second
        for downtrack in subscribe_peer.downtracks.values()
        if downtrack.kind == "audio" and downtrack.stream is not None and downtrack.stream.active(now)
    )


def spare_sounds(subscriber: AdaptedSubscriber, room_rate: float, speaker: str | None, now: int) -> None:
    """Leave out silent audio tracks on a thin link, unless the audio of the whole room fits; bring back those of people
    who speak. `speaker` is the participant who speaks, or spoke last.
    """
    bandwidth = subscriber.subscribe_peer.bandwidth
    if bandwidth is None or (not subscriber.spared and fits(room_rate, bandwidth.rate)):
        return
    if bandwidth.rate < _ENOUGH or subscriber.spared:
        _choose(subscriber, bandwidth.rate, speaker, now)


def _choose(subscriber: AdaptedSubscriber, estimate: float, speaker: str | None, now: int) -> None:
    shown = {
        downtrack.uptrack.track: downtrack
        for downtrack in subscriber.subscribe_peer.downtracks.values()
        if downtrack.kind == "audio" and downtrack.uptrack is not None and downtrack.uptrack.streams
    }
    before = {track: left for track, left in subscriber.spared.items() if shown.get(track) is left and left.paused}
    sounds = [
        (track, _sound(downtrack.uptrack, speaker, now))
        for track, downtrack in shown.items()
        if downtrack.uptrack is not None and (track in before or not downtrack.paused)
    ]
    leave = spared(sounds, estimate, frozenset(before))
    for track in leave - before.keys():
        shown[track].pause()
    for track in before.keys() - leave:
        shown[track].resume(now)
    subscriber.spared = {track: shown[track] for track in leave}


def _sound(uptrack: UpTrack, speaker: str | None, now: int) -> Sound:
    stream = uptrack.streams[0]
    progress = stream.progress
    rate = stream.bits_per_second if stream.active(now) else 0.0
    if not uptrack.tells_levels or uptrack.source is not Source.MICROPHONE or not progress.heard_at:
        return Sound(rate, None)
    return Sound(rate, now - progress.spoke_at, progress.loudness, uptrack.participant == speaker)
