"""A room that outgrows a worker, through the whole server: whoever comes next is on another, and is seen and heard."""

import asyncio

from parley.client import Api, Joined, Room
from sfu.api import signaling
from tests.support.call import become_admin, speaking
from tests.support.server import running_server


async def heard(room: Room, track: str) -> None:
    """Wait until a track comes in."""
    async with asyncio.timeout(15):
        while (stream := room.stream_of(track)) is None or stream.packets < 20:
            await asyncio.sleep(0.05)


async def spilled(host: Api, guest: Api) -> tuple[str, Joined, Joined]:
    """A meeting on two workers, and how both join it. Control hears of a worker a moment after that is ready."""
    async with asyncio.timeout(10):
        while True:
            meeting = await host.create_meeting("Large")
            first, second = await host.join(meeting, "Host"), await guest.join(meeting, "Guest")
            if "node=" in guest.signaling_url(second):
                return meeting, first, second


async def test_participants_of_two_workers_meet() -> None:
    with running_server(workers="2", spill_at="1", inference="false") as server:
        async with Api(server.url) as host, Api(server.url) as guest:
            await become_admin(host, server.setup_token)
            meeting, first, second = await spilled(host, guest)
            near, far = host.signaling_url(first), guest.signaling_url(second)
            assert "node=" not in near
            async with (
                Room(near, token=first.token) as ann,
                Room(far, token=second.token) as bob,
                speaking(ann) as one,
                speaking(bob) as two,
            ):
                await ann.until(lambda: second.participant in ann.state.participants)
                await bob.until(lambda: first.participant in bob.state.participants)
                await heard(ann, two.track)
                await heard(bob, one.track)
                await bob.send(signaling.Chat(text="from afar"))
                await ann.until(lambda: [entry.text for entry in ann.state.chats] == ["from afar"])
                people = f"/meetings/{meeting}/participants"
                await host.request("POST", f"{people}/{first.participant}/mute", {"muted": ["microphone"]})
                await bob.until(lambda: bob.state.tracks[one.track].muted)
                present = (await host.request("GET", people))["participants"]
                assert sum(entry["present"] for entry in present) == 2
                await host.request("POST", f"{people}/{second.participant}/remove", {})
                await ann.until(lambda: second.participant not in ann.state.participants)
