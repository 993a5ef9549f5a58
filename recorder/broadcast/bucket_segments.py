"""HLS output into an application's bucket, where all segments stay."""

import logging

from foundation.broadcasts import MOST_IMAGES, OutputKind, OutputOrder
from foundation.media_units import Unit, UnitKind
from recorder.broadcast.bucket_output import BucketOutput
from recorder.broadcast.contract import KEYFRAME_SECONDS
from recorder.broadcast.fragments import Fragmenter, Part, initialization
from recorder.broadcast.image_output import captured_at, stamp
from recorder.broadcast.lasting_playlist import LastingPlaylist
from recorder.broadcast.output import Failed
from recorder.broadcast.playlist import LONGEST_PART, PART_SECONDS, TOO_LATE

_log = logging.getLogger(__name__)
_PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
_MEDIA_TYPE = "video/mp4"


class BucketSegments(BucketOutput):
    """Stores segments, and after each of them the playlists."""

    kind: OutputKind = "hls"

    def __init__(self, order: OutputOrder, zero: int) -> None:
        super().__init__(order, zero)
        assert order.view.segments is not None
        self._options = order.view.segments
        self._playlist = LastingPlaylist(self._options.seconds)
        self._first = self.first_number(self._playlist.seconds)
        self._initialization = ""
        self._fragmenter = Fragmenter(PART_SECONDS)
        self._open: list[Part] = []

    async def hand_over(self) -> None:
        """Store segments as they are complete. After an interruption, a discontinuity follows."""
        self._fragmenter = Fragmenter(PART_SECONDS)
        self._open, self._initialization = [], ""
        self.is_live()
        while True:
            await self._take(await self.next())

    async def forget(self) -> None:
        """Store what is left, and end the playlists. The segments stay."""
        for step in (self._take_rest, self._complete, self._end):
            try:
                await step()
            except Failed as failed:
                _log.warning("the end of output %s was not stored: %s", self.order.id, failed)

    async def _take_rest(self) -> None:
        while self._waiting:
            await self._take(await self.next())

    async def _end(self) -> None:
        if len(self._playlist):
            self._playlist.end()
            await self._store_playlists()

    async def _take(self, unit: Unit) -> None:
        """Add a unit, and store the segment that it completes."""
        part = self._fragmenter.put(unit)
        if part is None:
            return
        if part.seconds > LONGEST_PART:
            raise Failed(TOO_LATE)
        self._open.append(part)
        # The first segment may end early: with the next two seconds it would be longer than the playlist says.
        least = self._playlist.seconds - KEYFRAME_SECONDS + PART_SECONDS
        if part.last and sum(one.seconds for one in self._open) > least:
            await self._complete()

    async def _initialize(self) -> None:
        video, audio = self._setup[UnitKind.VIDEO_SETUP], self._setup[UnitKind.AUDIO_SETUP]
        name = f"{self._options.prefix}_{self._first + self._count:05d}_init.mp4"
        await self.store(name, initialization(video.data, audio.data), _MEDIA_TYPE)
        self._initialization = name

    async def _complete(self) -> None:
        """Store the open segment, if there is one, and the playlists with it."""
        parts = self._open
        if not parts:
            return
        if self._count >= MOST_IMAGES:
            self._open = []
            self.lost(1)
            return
        if not self._initialization:
            await self._initialize()
        seconds = sum(part.seconds for part in parts)
        data = b"".join(part.data for part in parts)
        end = parts[-1].end
        name = self._name(end - round(seconds * 1_000_000))
        await self.store(name, data, _MEDIA_TYPE)
        self._open = []
        self._count += 1
        self._playlist.add(self._initialization, name, seconds)
        await self._store_playlists()
        self.handed(len(data), end)

    async def _store_playlists(self) -> None:
        options = self._options
        await self.store(f"{options.playlist}.m3u8", self._playlist.text().encode(), _PLAYLIST_TYPE)
        if options.live_playlist:
            await self.store(f"{options.live_playlist}.m3u8", self._playlist.newest().encode(), _PLAYLIST_TYPE)

    def _name(self, us: int) -> str:
        """Return the name of a segment that begins `us` after the broadcast's zero."""
        by_time = self._options.suffix == "time"
        suffix = stamp(captured_at(self._zero, us)) if by_time else f"{self._first + self._count:05d}"
        return f"{self._options.prefix}_{suffix}.m4s"
