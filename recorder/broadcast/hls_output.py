"""HLS output: writes segments and parts to the store of recordings, from which control serves them."""

import asyncio
import secrets

from foundation.broadcasts import PLAYLIST, OutputKind, OutputOrder
from foundation.media_units import UnitKind
from objects.threads import Objects
from recorder.broadcast.fragments import Fragmenter, initialization
from recorder.broadcast.output import Failed, Output
from recorder.broadcast.playlist import LONGEST_PART, PART_SECONDS, TOO_LATE, Change, Playlist

_STORE_SECONDS = 10.0
_LINGER_SECONDS = 30.0
"""The maximum delay of players when a stream ends."""


class HlsOutput(Output):
    """An HLS output. `prefix` is the path of the stream in `objects`."""

    kind: OutputKind = "hls"

    def __init__(self, order: OutputOrder, zero: int, objects: Objects, prefix: str) -> None:
        super().__init__(order, zero)
        self._objects = objects
        self._prefix = prefix

    async def hand_over(self) -> None:
        """Store units as they arrive. After an interruption the stream starts again, under other names."""
        playlist = Playlist(secrets.token_hex(3))
        fragmenter = Fragmenter(PART_SECONDS)
        begun = False
        try:
            self.is_live()
            while True:
                unit = await self.next()
                part = fragmenter.put(unit)
                if part is None:
                    continue
                if part.seconds > LONGEST_PART:
                    raise Failed(TOO_LATE)
                if not begun:
                    video, audio = self._setup[UnitKind.VIDEO_SETUP], self._setup[UnitKind.AUDIO_SETUP]
                    await self._put(playlist.initialization, initialization(video.data, audio.data))
                    begun = True
                await self._change(playlist.add(part), playlist)
                self.handed(len(part.data), part.end)
        except asyncio.CancelledError:
            if begun:
                await self._change(playlist.end(), playlist)
            raise

    async def forget(self) -> None:
        """Delete all objects, some time after the end."""
        await asyncio.sleep(_LINGER_SECONDS)
        await self._objects.remove_all(self._prefix)

    async def _change(self, change: Change, playlist: Playlist) -> None:
        for name, data in change.stored:
            await self._put(name, data)
        if playlist.is_playable:
            await self._put(PLAYLIST, playlist.text().encode())
        for name in change.removed:
            await self._objects.remove(self._prefix + name)

    async def _put(self, name: str, data: bytes) -> None:
        async with asyncio.timeout(_STORE_SECONDS):
            await self._objects.put(self._prefix + name, data)
