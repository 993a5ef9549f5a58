"""Nobody is admitted to a room before its desired state is known."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.server import first_state
from tests.sfu.server.harness import client, host
from tests.support.waiting import eventually


async def test_who_was_removed_is_not_let_into_a_room_that_opens(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.desired["r"] = DesiredState(room="r", version=4, removed=("eve",))
        async with client(h, h.control.token("r", "eve")) as eve:
            assert (await eve.until(signaling.Error)).code == "removed"
            await eve.closed()
            assert not [message for message in eve.received if isinstance(message, signaling.RoomInfo)]
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {h.control.token('r', 'eve')}", "Content-Type": "application/sdp"}
            async with session.post(f"{h.http}/whip/r", data="v=0\r\n", headers=headers) as answer:
                assert (answer.status, (await answer.json())["code"]) == (403, "removed")
        assert "ParticipantJoined" not in h.control.kinds()


async def test_who_is_removed_while_a_room_opens_does_not_slip_in(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.desired["r"] = DesiredState(room="r", version=4)
        h.control.desired_held.clear()
        async with client(h, h.control.token("r", "eve")) as eve:
            await eventually(lambda: h.control.desired_asked == 1)
            assert await h.put_desired(DesiredState(room="r", version=5, removed=("eve",))) == 200
            h.control.desired_held.set()
            assert (await eve.until(signaling.Error)).code == "removed"
            assert not [message for message in eve.received if isinstance(message, signaling.RoomInfo)]
        assert "ParticipantJoined" not in h.control.kinds()
        assert await h.put_desired(DesiredState(room="other", version=1)) == 404


async def test_a_control_that_does_not_answer_is_waited_for_and_then_refused_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_state, "WAIT_SECONDS", 0.5)
    async with host(tmp_path) as h:
        h.control.desired_status = 503
        async with client(h, h.control.token("r", "ann")) as ann:
            assert (await ann.until(signaling.Error)).code == "not_ready"
            assert await ann.closed() == 1013
        assert not h.node.rooms
        h.control.desired_status = None
        async with client(h, h.control.token("r", "ann")) as ann:
            assert (await ann.until(signaling.RoomInfo)).participant == "ann"
            h.control.desired_status = 503  # a room that is governed lets others in all the same
            async with client(h, h.control.token("r", "bob")) as bob:
                assert (await bob.until(signaling.RoomInfo)).participant == "bob"


async def test_a_meeting_that_control_does_not_know_is_over(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        h.control.desired_status = 404
        async with client(h, h.control.token("r", "ann")) as ann:
            assert (await ann.until(signaling.Error)).code == "ended"


async def test_a_room_ends_when_its_meeting_is_deleted_and_nobody_could_say_so(tmp_path: Path) -> None:
    async with host(tmp_path, desired_state_seconds=0.05) as h, client(h, h.control.token("r", "ann")) as ann:
        await ann.until(signaling.RoomInfo)
        h.control.desired_status = 404
        assert (await ann.until(signaling.Error)).code == "ended"
        await ann.closed()
        await eventually(lambda: not h.node.rooms)


async def admitted(session: ClientConnection) -> None:
    async with asyncio.timeout(30):
        while not isinstance(signaling.decode_server(await session.recv()), signaling.RoomInfo):
            pass


async def test_all_who_come_at_once_wait_for_one_answer(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        sessions = [await connect(h.signaling_url, compression=None) for _ in range(8)]
        for number, session in enumerate(sessions):
            await session.send(signaling.encode(signaling.Join(v=1, token=h.control.token("r", f"p{number}"))))
        for session in sessions:
            await admitted(session)
            await session.close()
        assert 1 <= h.node.context.counters["first_state_awaited"] <= 8
        # Once before the room opened, once after: a change in between must not be missed. Not once for each.
        assert h.control.desired_asked <= 3
