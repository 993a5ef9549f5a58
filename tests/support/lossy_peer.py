"""Our client with its subscribe peer behind an emulated downlink, with loss and delay."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from parley_client import Room
from parley_client.client_peer import Received
from tests.support.link_model import Link, LinkSettings


class LosingRoom(Room):
    """Client whose incoming packets for the subscribe peer pass through `link`."""

    def __init__(self, signaling_url: str, settings: LinkSettings, seed: int, **options: Any) -> None:
        super().__init__(signaling_url, **options)
        self.link: Link[Received] = Link(settings, seed)
        self._marks: dict[str, tuple[int, int]] = {}

    def _on_subscribe_packet(self, received: Received, now: int) -> None:
        self.link.push(received, len(received.data), now)
        self._arrive(now)
        at = self.link.next_event()
        if at is not None:
            asyncio.get_running_loop().call_later(max(0, at - now) / 1e9 + 0.001, self._arrive, at + 1_000_000)

    def _arrive(self, now: int) -> None:
        for at, received in self.link.pop(now):
            super()._on_subscribe_packet(received, at)

    def delivered(self, track: str) -> tuple[float, int]:
        """Return the fraction of a track's packets that arrived since the last call, and the packets' number.

        Repaired packets count as arrived. The first call only starts the count.
        """
        stream = self.stream_of(track)
        assert stream is not None
        newest = stream._unwrap.newest or 0
        packets, first = self._marks.get(track, (stream.packets, newest))
        self._marks[track] = (stream.packets, newest)
        sent = newest - first
        return ((stream.packets - packets) / sent if sent else 0.0), sent


@contextlib.asynccontextmanager
async def losing_room(signaling_url: str, token: str, settings: LinkSettings, seed: int) -> AsyncIterator[LosingRoom]:
    """Join a room behind a link."""
    async with LosingRoom(signaling_url, settings, seed, token=token) as room:
        yield room
