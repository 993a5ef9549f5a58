"""Settings that change while a node runs."""

from pathlib import Path

import pytest

from sfu.api import signaling
from sfu.api.refusal import Code
from sfu.server.main import Tuning
from tests.sfu.server.harness import client, host


async def test_rooms_take_as_many_as_was_said_last(tmp_path: Path) -> None:
    tuning = Tuning()
    tuning.limit_participants(1)
    async with host(tmp_path) as h, client(h, h.control.token("m1", "ada")) as ada:
        await ada.until(signaling.RoomInfo)
        tuning.serve(h.node.context)
        async with client(h, h.control.token("m1", "grace")) as grace:
            assert (await grace.until(signaling.Error)).code == Code.FULL.value
        tuning.limit_participants(2)
        async with client(h, h.control.token("m1", "grace")) as grace:
            await grace.until(signaling.RoomInfo)


def test_a_room_takes_one_at_least() -> None:
    with pytest.raises(ValueError, match="one participant"):
        Tuning().limit_participants(0)
