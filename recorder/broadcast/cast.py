"""The people and tracks that can be shown now, for the layout, derived from sink records. It does no I/O."""

from dataclasses import dataclass, field

from foundation.film_options import FilmOptions
from recorder.broadcast.clock import LiveClock, Offset
from recorder.broadcast.sound import AudioTrack
from recorder.broadcast.video_track import LiveImage, VideoTrack
from recorder.compose.images import DECODERS, GAP_MS
from recorder.compose.layouts import Moment, Seen
from recorder.compose.samples import RATE
from recorder.compose.scenes import CAMERA_OFF, INTERRUPTED
from sfu.api.sink_records import (
    AnyRecord,
    KeyframeWanted,
    MissedRecord,
    PacketRecord,
    SenderReportRecord,
    TrackClosed,
    TrackMuteChanged,
    TrackOpened,
)
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame, FrameAssembler, Loss

_MAX_STREAMS = 512
_SOUND_WAIT = 250_000_000
_PICTURE_WAIT = 450_000_000
"""The longest wait for a lost packet (ns), within the delay of the broadcast. A repair from far away takes over 200 ms,
and without it pictures are missing until a keyframe has come as far; the sound of a packet is missing alone.
"""
_ASK_AGAIN = 1_000_000_000
_CAMERA = "camera"


@dataclass(slots=True)
class _Track:
    """A track, whichever of its streams arrives. `media` decodes it."""

    opened: TrackOpened
    media: VideoTrack | AudioTrack
    muted: bool
    is_shown: bool
    """A view may show it; other video is not decoded."""
    handles: set[int] = field(default_factory=set)
    asked: int = 0
    seen_us: int | None = None
    """The capture time of its latest image."""


@dataclass(slots=True)
class _Stream:
    track: _Track
    codec: Codec
    assembler: FrameAssembler
    clock: LiveClock


class Cast:
    """The tracks of a room. `zero` is the broadcast's zero (ns), from which media times count."""

    def __init__(self, zero: int) -> None:
        self._zero = zero
        self._films: tuple[FilmOptions, ...] = (FilmOptions(),)
        self._tracks: dict[str, _Track] = {}
        self._streams: dict[int, _Stream] = {}
        self._senders: dict[str, Offset] = {}

    def take(self, record: AnyRecord) -> None:
        """Process a record; those that are not about media are ignored."""
        match record:
            case PacketRecord():
                self._packet(record)
            case SenderReportRecord() if (stream := self._streams.get(record.handle)) is not None:
                stream.clock.report(record.rtp_timestamp, record.ntp, record.arrival)
            case MissedRecord() if (stream := self._streams.get(record.handle)) is not None:
                self._results(record.handle, stream.assembler.missed(record.first_ext_seq, record.packets))
            case TrackOpened():
                self._open(record)
            case TrackClosed():
                self._close(record)
            case TrackMuteChanged() if (stream := self._streams.get(record.handle)) is not None:
                self._mute(stream.track, muted=record.muted)
            case _:
                pass

    def show(self, films: tuple[FilmOptions, ...]) -> None:
        """Decode the video that these views can show; by default, all."""
        self._films = films
        for track in self._tracks.values():
            was_shown, track.is_shown = track.is_shown, self._can_show(track.opened)
            if isinstance(track.media, VideoTrack) and track.is_shown != was_shown:
                track.media.restart()

    def tick(self, now: int) -> list[KeyframeWanted]:
        """Give up waiting for overdue packets; return the keyframes to request."""
        wanted = []
        for handle, stream in list(self._streams.items()):
            self._results(handle, stream.assembler.flush(now))
            track = stream.track
            wants = (
                isinstance(track.media, VideoTrack)
                and track.media.wants_keyframe(handle)
                and track.is_shown
                and not track.muted
            )
            if wants and handle == max(track.handles) and now - track.asked >= _ASK_AGAIN:
                track.asked = now
                wanted.append(KeyframeWanted(handle=handle))
        return wanted

    @property
    def people(self) -> int:
        return len({track.opened.participant for track in self._tracks.values()})

    def sounds(self, film: FilmOptions) -> list[tuple[str, AudioTrack]]:
        """Return the participants that a view makes audible, with their sound."""
        return [(t.opened.participant, t.media) for t in self._of(film) if isinstance(t.media, AudioTrack)]

    def is_silent(self, film: FilmOptions) -> bool:
        """Return whether a view has sound, and all of it is muted."""
        return {track.muted for track in self._of(film) if isinstance(track.media, AudioTrack)} == {True}

    def forget_sound(self, position: int) -> None:
        """Drop the sound before a position."""
        for track in self._tracks.values():
            if isinstance(track.media, AudioTrack):
                track.media.forget(position)

    def image(self, track: str, us: int) -> LiveImage | None:
        """Return a track's image at an instant."""
        found = self._tracks.get(track)
        if found is None or not isinstance(found.media, VideoTrack):
            return None
        image = found.media.at(us)
        if image is not None:
            found.seen_us = image.us
        return image

    def moment(self, us: int, speaker: str, film: FilmOptions) -> Moment:
        """Return everything that a view can show at an instant."""
        of: dict[str, list[_Track]] = {}
        tracks = self._of(film)
        for track in tracks:
            of.setdefault(track.opened.participant, []).append(track)
        screens = [track for track in tracks if _is_screen(track) and not track.muted]
        shared = next((s for s in reversed(screens) if self.image(s.opened.track, us) is not None), None)
        screen = None
        if shared is not None:
            opened = shared.opened
            screen = Seen(opened.participant, f"{opened.name}: screen", opened.track)
        return Moment(tuple(self._seen(who, tracks, us) for who, tracks in of.items()), screen, speaker)

    def close(self) -> None:
        for track in self._tracks.values():
            if isinstance(track.media, VideoTrack):
                track.media.close()

    def _of(self, film: FilmOptions) -> list[_Track]:
        return [track for track in self._tracks.values() if _has(film, track.opened)]

    def _can_show(self, opened: TrackOpened) -> bool:
        return any(_has(film, opened) for film in self._films)

    def _seen(self, participant: str, tracks: list[_Track], us: int) -> Seen:
        name = tracks[-1].opened.name or participant
        silent = not any(isinstance(t.media, AudioTrack) and not t.muted for t in tracks)
        cameras = [t for t in tracks if isinstance(t.media, VideoTrack) and t.opened.source == _CAMERA]
        note = CAMERA_OFF if cameras else ""
        for track in cameras:
            if track.muted:
                continue
            image = self.image(track.opened.track, us)
            if image is not None and us - image.us < GAP_MS * 1000:
                return Seen(participant, name, track.opened.track, silent)
            note = INTERRUPTED if image is not None else ""
        return Seen(participant, name, None, silent, note)

    def _packet(self, record: PacketRecord) -> None:
        stream = self._streams.get(record.handle)
        if stream is None or (isinstance(stream.track.media, VideoTrack) and not stream.track.is_shown):
            return
        try:
            results = stream.assembler.push(record.ext_seq, record.arrival, record.rtp)
        except ValueError:
            return
        self._results(record.handle, results)

    def _results(self, handle: int, results: list[Frame | Loss]) -> None:
        stream = self._streams[handle]
        media = stream.track.media
        for result in results:
            if isinstance(result, Loss):
                if result.keyframe_needed and isinstance(media, VideoTrack):
                    media.await_keyframe(handle)
                continue
            us = (stream.clock.frame(result.timestamp, result.arrival) - self._zero) // 1000
            if isinstance(media, VideoTrack):
                media.frame(handle, us, result)
            else:
                media.frame(stream.codec, stream.track.opened.channels, us * RATE // 1_000_000, result.data)

    def _open(self, opened: TrackOpened) -> None:
        codec = Codec.__members__.get(opened.codec.upper())
        video = opened.media == "video"
        if codec is None or len(self._streams) >= _MAX_STREAMS or (video and opened.codec.lower() not in DECODERS):
            return
        track = self._tracks.get(opened.track)
        if track is None:
            media = VideoTrack() if video else AudioTrack()
            track = _Track(opened, media, opened.muted, self._can_show(opened))
            self._tracks[opened.track] = track
        track.handles.add(opened.handle)
        if isinstance(track.media, VideoTrack):
            track.media.open_stream(opened.handle, codec)
        self._mute(track, muted=opened.muted)
        sender = self._senders.setdefault(opened.participant, Offset())
        assembler = FrameAssembler(codec, max_wait=_PICTURE_WAIT if video else _SOUND_WAIT, fmtp=opened.fmtp)
        self._streams[opened.handle] = _Stream(track, codec, assembler, LiveClock(opened.clock_rate, sender))

    def _close(self, closed: TrackClosed) -> None:
        """Close a stream. Its track stays until another stream replaces it or none arrives."""
        stream = self._streams.pop(closed.handle, None)
        if stream is None:
            return
        track = stream.track
        track.handles.discard(closed.handle)
        if isinstance(track.media, VideoTrack):
            track.media.end_stream(closed.handle)
        if track.handles or closed.reason == "replaced":
            return
        self._tracks.pop(track.opened.track, None)
        if isinstance(track.media, VideoTrack):
            track.media.close()
        if all(one.opened.participant != track.opened.participant for one in self._tracks.values()):
            self._senders.pop(track.opened.participant, None)

    def _mute(self, track: _Track, *, muted: bool) -> None:
        track.muted = muted
        if muted and isinstance(track.media, VideoTrack):
            track.media.clear()


def _has(film: FilmOptions, opened: TrackOpened) -> bool:
    """Return whether a view has a track."""
    return film.takes(opened.track, opened.participant, opened.source)


def _is_screen(track: _Track) -> bool:
    return isinstance(track.media, VideoTrack) and track.opened.source != _CAMERA
