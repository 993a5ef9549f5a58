"""Tracks that a client has announced: their ids, and their places in its offers.

A client announces a track before it offers it, and learns the track's id from the response.
"""

from collections.abc import Container
from typing import NamedTuple

from livekit.protocol import models, rtc

from sfu.api.join_token import Source
from sfu.api.signaling_values import OfferedTrack
from sfu.formats.sdp import MediaSection, parse
from sfu.livekit import names
from sfu.peers.context import random_id

MAX_ADDED = 64
"""The maximum number of tracks that a client has announced but not published."""

_CODECS = {"vp8": "VP8", "vp9": "VP9", "h264": "H264", "av1": "AV1"}
_LAYERED = ("VP9", "AV1")
_REPEATED = "red"


class NotAllowed(Exception):
    """The client may not publish from this source."""

    def __init__(self, source: Source) -> None:
        super().__init__(f"You may not publish {source.value} here.")


class _Added(NamedTuple):
    """A track that the client has announced, and its id."""

    track: str
    request: "rtc.AddTrackRequest"
    backup_of: str = ""
    codec: str = ""


class AnnouncedTracks:
    """The announced tracks of one client."""

    def __init__(self) -> None:
        self._added: dict[str, _Added] = {}
        self._waiting: dict[str, None] = {}
        """The client ids of announced tracks that no offer has had yet, in order."""
        self._described_as: dict[str, str] = {}
        """Client ids by the ids of descriptions, where they differ."""
        self._muted: dict[str, bool] = {}

    def add(self, request: "rtc.AddTrackRequest", allowed: Container[Source]) -> "models.TrackInfo":
        """Announce a track, or one again in other codecs; return the information about it.

        Raises ValueError for an invalid request, NotAllowed unless the track's source is one of `allowed`.
        """
        if request.type not in (models.TrackType.AUDIO, models.TrackType.VIDEO) or not request.cid:
            raise ValueError("a track must be audio or video, and have a client id")
        if len(self._added) >= MAX_ADDED and request.cid not in self._added:
            self._forget_ended()
        if len(self._added) >= MAX_ADDED and request.cid not in self._added:
            raise ValueError("too many tracks are announced")
        if request.sid:
            return self._add_backups(request)
        source = names.source_of(request.source, request.type)
        if source not in allowed:
            raise NotAllowed(source)
        added = _Added(random_id("t"), request, codec=_codec(request))
        self._added[request.cid] = added
        self._waiting[request.cid] = None
        return _info(added)

    def _forget_ended(self) -> None:
        """Remove announced tracks that were published and have ended."""
        self._added = {
            cid: added
            for cid, added in self._added.items()
            if cid in self._waiting or (added.track or added.backup_of) in self._muted
        }

    def _add_backups(self, request: "rtc.AddTrackRequest") -> "models.TrackInfo":
        """Announce a track again in another codec that a subscriber needs."""
        track = names.track_of(request.sid)
        first = self._with_id(track)
        if first is None:
            raise ValueError("the track to send in another codec does not exist")
        for codec in request.simulcast_codecs:
            if codec.cid and codec.cid != first.request.cid and len(self._added) < MAX_ADDED:
                name = _CODECS.get(codec.codec.lower(), "VP8")
                self._added[codec.cid] = _Added("", request, backup_of=track, codec=name)
                self._waiting[codec.cid] = None
        return _info(first)

    def offered(self, sdp: str) -> list[OfferedTrack]:
        """Return the announced tracks that an offer publishes. Raises ValueError for an invalid description."""
        description = parse(sdp)
        tracks = []
        for section in description.media:
            if section.kind == "application" or not section.mid or not description.direction_of(section).sends:
                continue
            cid = self._cid_of(section)
            if cid is not None and (section.port or section.bundle_only):
                tracks.append(self._offered(section.mid, self._added[cid]))
        sending = {track.track for track in tracks}
        self._muted = {track: muted for track, muted in self._muted.items() if track in sending}
        return tracks

    def _cid_of(self, section: MediaSection) -> str | None:
        """Return the client id of the track that a section sends, None for a track that was not announced.

        Firefox uses different ids in announcements and descriptions; its track is the first announced one of that kind.
        """
        described = [msid.track or "" for msid in section.msids]
        cid = next((self._described_as.get(name, name) for name in described if name), None)
        if cid not in self._added:
            kind = models.TrackType.AUDIO if section.kind == "audio" else models.TrackType.VIDEO
            cid = next((name for name in self._waiting if self._added[name].request.type == kind), None)
            if cid is not None:
                self._described_as.update(dict.fromkeys(described, cid))
                while len(self._described_as) > MAX_ADDED:
                    del self._described_as[next(iter(self._described_as))]
        if cid is not None:
            self._waiting.pop(cid, None)
        return cid

    def _offered(self, mid: str, added: _Added) -> OfferedTrack:
        request = added.request
        layers = len(request.layers)
        scalability = f"L{min(layers, 3)}T3_KEY" if added.codec in _LAYERED and layers > 1 else ""
        return OfferedTrack(
            mid=mid,
            source=names.source_of(request.source, request.type),
            muted=self._muted.setdefault(added.track, request.muted),
            codec=_REPEATED if _repeats(request) else added.codec,
            scalability=scalability,
            backup_of=added.backup_of,
            continuous=request.disable_dtx,
            track=added.track,
            name=request.name[:256],
            width=min(request.width, 16384),
            height=min(request.height, 16384),
            sealed=_is_sealed(request),
        )

    def mute(self, track: str, muted: bool) -> bool:
        """Mute or unmute a track; return whether an offer has had it. Raises ValueError for another's track."""
        if self._with_id(track) is None:
            raise ValueError("this is not your track")
        is_offered = track in self._muted
        self._muted[track] = muted
        return is_offered

    def is_muted(self, track: str) -> bool | None:
        """Return whether the client has muted a track, None if it is not one of its own."""
        return self._muted.get(track)

    def codec_of(self, track: str) -> str | None:
        """Return the codec of an announced track, "" if the room chooses it; None for other tracks."""
        added = self._with_id(track)
        return None if added is None else added.codec

    def _with_id(self, track: str) -> _Added | None:
        return next((added for added in self._added.values() if added.track == track), None)


def _codec(request: "rtc.AddTrackRequest") -> str:
    """Return the codec that a client wants to send; if it names none, the room chooses."""
    return next((_CODECS[one.codec.lower()] for one in request.simulcast_codecs if one.codec.lower() in _CODECS), "")


def _repeats(request: "rtc.AddTrackRequest") -> bool:
    """Return whether a client is to send sound in RED. It does so if RED comes first in the answer, unless it said no;
    it does not offer to send lost packets of sound again.
    """
    return request.type == models.TrackType.AUDIO and not request.disable_red and not _is_sealed(request)


def _is_sealed(request: "rtc.AddTrackRequest") -> bool:
    return request.encryption != models.Encryption.Type.NONE


def _info(added: _Added) -> "models.TrackInfo":
    """Return a track as its client announced it, with its id."""
    request = added.request
    mime = "audio/opus" if request.type == models.TrackType.AUDIO else f"video/{added.codec or 'VP8'}"
    return models.TrackInfo(
        sid=names.track_sid(added.track),
        type=request.type,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        simulcast=len(request.layers) > 1,
        source=names.their_source(names.source_of(request.source, request.type)),
        layers=request.layers,
        mime_type=mime,
        codecs=[models.SimulcastCodecInfo(mime_type=mime, cid=request.cid, layers=request.layers)],
        stereo=request.stereo,
        disable_dtx=request.disable_dtx,
        disable_red=request.disable_red,
        encryption=request.encryption,
        stream=request.stream,
    )
