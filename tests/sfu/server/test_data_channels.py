"""Data channels on real sockets between our clients: one that hangs does not affect the others."""

import asyncio
import time
from pathlib import Path

import pytest

from parley_client import Room
from sfu.formats.data_message import MAX_MESSAGE_BYTES
from tests.sfu.server.harness import host
from tests.support.waiting import eventually


def ready(room: Room) -> bool:
    peer = room._subscribe.peer if room._subscribe else None
    return peer is not None and peer.data is not None and peer.data.is_open


async def test_a_stuck_reader_delays_nobody(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ada, stuck, speaker = (
            Room(h.signaling_url, token=h.control.token("r", name), data=True) for name in ("ada", "stuck", "speaker")
        )
        async with ada, stuck, speaker:
            await eventually(lambda: all(map(ready, (ada, stuck, speaker))), 30)
            speaker.say(b"ready?")
            await eventually(lambda: len(stuck.heard) == 1, 30)
            assert stuck._subscribe is not None
            stuck._subscribe.peer.receive = lambda *_: None  # type: ignore[method-assign]  # it hangs
            begun = time.monotonic()
            for _ in range(24):
                speaker.say(bytes(50_000))
                await asyncio.sleep(0.22)  # what one participant may send: 250 kB a second
            await eventually(lambda: len(ada.heard) == 25, 30)
            print(f"24 messages of 50 kB in {time.monotonic() - begun:.1f} s beside a stuck reader")
            await stuck.until(lambda: any(error.code == "data_overflow" for error in stuck.state.errors))
            assert not speaker.state.errors


async def test_a_message_that_would_not_arrive_is_an_error_to_who_sends_it(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        ada, bob = (Room(h.signaling_url, token=h.control.token("r", name), data=True) for name in ("ada", "bob"))
        async with ada, bob:
            await eventually(lambda: ready(ada) and ready(bob), 30)
            for size in (70_000, MAX_MESSAGE_BYTES):
                with pytest.raises(ValueError, match="at most 65536 bytes"):
                    ada.say(bytes(size))
            ada.say(bytes(MAX_MESSAGE_BYTES - 3))
            await eventually(lambda: len(bob.heard) == 1, 30)
